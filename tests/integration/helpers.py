"""Tools that the integration tests share.

They run the command line as a process, and find what the process has left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

SCENARIOS = Path(__file__).parent / "scenarios"
ROOT = Path(__file__).resolve().parents[2]
END_S = 120.0
"""For a command to end; far more than any needs."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment, for a lab whose home is ``home``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    return {**kept, "TORRENTNET_HOME": str(home), "PYTHONUNBUFFERED": "1", **more}


def torrentnet(home: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        command(*argv), env=environment(home, **more), capture_output=True, text=True, timeout=END_S, check=False
    )


def command(*argv: str) -> list[str]:
    """The command line, with warnings as errors."""
    return [sys.executable, "-W", "error", "-m", "torrentnet.lab", *argv]


def compose(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """``docker compose`` as a person types it in the lab's directory: with no flag."""
    return subprocess.run(
        ["docker", "compose", *argv],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Running:
    """The command line as a process in a process group of its own.

    Its lines are read as soon as they are printed.
    """

    def __init__(self, home: Path, *argv: str, env: Mapping[str, str] | None = None, apart: bool = False) -> None:
        """Start the command line with these arguments.

        With ``apart``, standard error is kept in :attr:`errors`, and is not part of :attr:`text`.
        """
        self._process = subprocess.Popen(
            command(*argv),
            env=environment(home, **(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.errors = ""
        """All that came on standard error, once it has ended."""
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._readers = [threading.Thread(target=self._read, daemon=True)]
        if apart:
            self._readers.append(threading.Thread(target=self._read_errors, daemon=True))
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            self.errors = stream.read()

    @property
    def text(self) -> str:
        """All that it has printed."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_line(self, wanted: str) -> None:
        """Wait until a line that holds ``wanted`` has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(wanted in line for line in self._lines), END_S)
        assert wanted in self.text, f"no line with {wanted!r} in:\n{self.text}"

    def wait_match(self, pattern: re.Pattern[str]) -> None:
        """Wait until a line that begins with ``pattern`` has come, or the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(map(pattern.match, self._lines)), END_S)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, as a terminal does."""
        os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Wait for the end; answers with the exit status."""
        status = self._process.wait(END_S)
        self._join()
        return status

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(END_S)

    def interrupt(self) -> None:
        """End it in order, if it goes on."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait(END_S)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._join()


def is_record(path: Path, home: Path) -> bool:
    """Whether a file belongs to the record of a run, which stays."""
    return path.relative_to(home).parts[0] == "runs"


def wait(true: Callable[[], bool], seconds: float = END_S) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True
