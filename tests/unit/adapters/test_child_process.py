"""A child process reports its lines, its exit, and that it cannot be run."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from torrentnet.adapters.adapter import AdapterError
from torrentnet.adapters.child_process import ChildProcess, find_command, first_output_line

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 20.0


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_each_line_of_output_is_reported(tmp_path: Path) -> None:
    lines: list[str] = []
    both = threading.Event()

    def on_line(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            both.set()

    code = "import sys, time; print('one\\n\\n'); print('two \\udcff', file=sys.stderr); time.sleep(60)"
    child = ChildProcess(python(code), tmp_path, on_line)
    try:
        assert both.wait(DEADLINE)
        child.raise_if_exited()
    finally:
        child.terminate(signal.SIGTERM, DEADLINE)
    assert lines == ["one", "two \\udcff"]


def test_an_exit_is_reported_with_the_last_line(tmp_path: Path) -> None:
    child = ChildProcess(python("print('cannot bind'); raise SystemExit(7)"), tmp_path, lambda _: None)
    child._process.wait(DEADLINE)
    with pytest.raises(AdapterError, match=r"^python\S* exited with status 7: cannot bind$"):
        child.raise_if_exited()
    child.terminate(signal.SIGTERM, DEADLINE)


def test_a_process_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    ready = threading.Event()
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
    child = ChildProcess(python(code), tmp_path, lambda _: ready.set())
    assert ready.wait(DEADLINE)
    child.terminate(signal.SIGTERM, 0.05)
    assert child._process.returncode == -signal.SIGKILL


def test_a_command_that_is_not_installed_names_its_package() -> None:
    with pytest.raises(AdapterError, match=r"^no-such is not installed \(Debian package: no-such-tools\)$"):
        find_command("no-such", "no-such-tools")
    with pytest.raises(AdapterError, match=r"^no-such is not installed \(Debian package: no-such\)$"):
        find_command("no-such")


def test_the_first_line_of_output_is_returned() -> None:
    assert first_output_line(*python("print('aria2 version 1\\nmore')")) == "aria2 version 1"
    with pytest.raises(AdapterError, match=r"^cannot run /no/such: "):
        first_output_line("/no/such")
