"""The README's walk by hand, typed as it stands."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TIMEOUT = 120.0


def typed() -> list[str]:
    """The commands of the section "By hand"."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## By hand")[2].partition("\n## ")[0]
    block = re.search(r"```console\n(.*?)```", section, re.DOTALL)
    assert block
    return [line[2:] for line in block[1].splitlines() if line.startswith("$ ")]


def test_the_walk_by_hand_works_as_typed(tmp_path: Path) -> None:
    for name in ("tracker.py", "peer.py", "torrentnet"):
        (tmp_path / name).symlink_to(ROOT / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tools / "python3").chmod(0o755)
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    # Another address of the same machine: somebody may use the README's ports now.
    address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(2, 255)}"
    commands = [command.replace("127.0.0.1", address) for command in typed()]
    prepare, *programs = commands
    assert len(programs) == 3
    subprocess.run(["sh", "-c", prepare], cwd=tmp_path, check=True, timeout=TIMEOUT)
    processes: list[subprocess.Popen[str]] = []
    try:
        for command, event in zip(programs, ("listening", "published", "completed"), strict=True):
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                cwd=tmp_path,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            processes.append(process)
            assert any(f"Z {event}" in line for line in until(process)), command
        assert (tmp_path / "downloads/myfile.txt").read_bytes() == (tmp_path / "myfile.txt").read_bytes()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(TIMEOUT)
            assert process.stdout is not None
            process.stdout.close()


def until(process: subprocess.Popen[str]) -> Iterator[str]:
    """The lines of a program, which is ended where they take too long."""
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        yield from process.stdout
    finally:
        timer.cancel()
        timer.join()
