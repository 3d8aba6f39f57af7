"""Commands on the host are ended with the lab."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from torrentnet.lab.engines.child_process import LINES_KEPT, run_child
from torrentnet.lab.errors import EngineError
from torrentnet.lab.run.interrupts import Interrupted

HERE = Path()
WAIT_S = 30.0


def test_lines_are_passed_on_and_the_last_are_kept() -> None:
    lines: list[str] = []
    code = f"import sys\nfor i in range({LINES_KEPT + 5}): print(i)\nsys.exit(3)"
    result = run_child([sys.executable, "-c", code], cwd=HERE, on_line=lines.append)
    assert result.status == 3
    assert lines == [str(index) for index in range(LINES_KEPT + 5)]
    assert result.tail == tuple(lines[5:])


def test_standard_output_can_be_kept_separate() -> None:
    lines: list[str] = []
    code = "import sys; print('told', file=sys.stderr); print('answer')"
    result = run_child([sys.executable, "-c", code], cwd=HERE, on_line=lines.append, keep_stdout=True)
    assert (result.stdout, lines) == ("answer\n", ["told"])


def test_a_missing_command_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="cannot be run: No such file or directory"):
        run_child(["/nonexistent/command"], cwd=Path("/nonexistent"))


def test_an_exception_ends_the_command_and_its_children() -> None:
    # The command prints the process id of its child, which outlives the command unless the whole group is ended.
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    pids: list[int] = []

    def stop(line: str) -> None:
        pids.append(int(line))
        raise Interrupted(signal.SIGINT)

    began = time.monotonic()
    with pytest.raises(Interrupted):
        run_child([sys.executable, "-c", code], cwd=HERE, on_line=stop)
    # The command would have slept for ten minutes.
    assert time.monotonic() - began < WAIT_S
    stat = Path(f"/proc/{pids[0]}/stat")
    deadline = time.monotonic() + WAIT_S
    # An orphan that has ended may stay listed until its new parent waits for it.
    while stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in {"Z", "X"}:
        assert time.monotonic() < deadline, "the command's child lives on"
        threading.Event().wait(0.01)
