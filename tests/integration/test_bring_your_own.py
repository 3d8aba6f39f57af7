"""The worked examples of docs/bring_your_own.md, followed to the letter."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.integration.engines import DOCKER, need_programs, on
from tests.integration.helpers import END_S, ROOT, command, environment
from tests.submissions.catalogue import PLAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines import Kind

pytestmark = on(DOCKER)

PAGE: Final = (ROOT / "docs" / "bring_your_own.md").read_text("utf-8")
SECTIONS: Final = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
FILES: Final = re.compile(r"^`([\w.]+)`:\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS: Final = re.compile(r"^\$ (.+)$", re.MULTILINE)
BASE: Final = "torrentnet-clients:latest"
"""The example's base in this test: it has been fetched already."""


def typed(program: str, words: list[str]) -> list[str]:
    """Return the command line that a person means."""
    match program:
        case "torrentnet":
            return command(*words)
        case "python":
            return [sys.executable, *words, "-p", "no:cacheprovider"]
        case "docker":
            return ["docker", *words[:1], "--build-arg", f"BASE={BASE}", *words[1:]]
    raise AssertionError(program)


def follow(title: str, folder: Path, home: Path) -> None:
    """Make the files of an example, and type its commands."""
    section = SECTIONS[title]
    for name, content in FILES.findall(section):
        (folder / name).write_text(content, "utf-8")
    commands = COMMANDS.findall(section)
    assert commands
    for line in commands:
        program, *words = shlex.split(line)
        argv = typed(program, words)
        done = subprocess.run(
            argv, cwd=folder, env=environment(home), capture_output=True, text=True, timeout=END_S, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_a_tcp_echo_pair(engine: Kind, tmp_path: Path, home: Path) -> None:
    (tmp_path / "echo").mkdir()
    follow("A TCP echo pair", tmp_path / "echo", home)


def test_a_bittorrent_client_from_an_image(engine: Kind, tmp_path: Path, home: Path) -> None:
    need_programs()
    (tmp_path / "image").mkdir()
    try:
        follow("A BitTorrent client from an image", tmp_path / "image", home)
    finally:
        subprocess.run(["docker", "rmi", "example/lftp:1"], capture_output=True, check=False)


def test_a_submission(engine: Kind, tmp_path: Path, home: Path) -> None:
    folder = PLAIN.write(tmp_path / "work" / "submission")
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", str(folder.parent / "another.zip"), *map(str, folder.iterdir())],
        check=True,
    )
    follow("A submission", folder.parent, home)
