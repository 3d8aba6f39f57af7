"""A process that is watched by the event lines that it prints.

Benchmarks use it, and tests with real programs.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, Final, Self

from torrentnet.runtime.events import Event, parse_event

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path

DEADLINE_S: Final = 60.0
"""Generous: what is waited for comes in milliseconds, or never."""


class NotSeenError(AssertionError):
    """A program did not print the expected text.

    The message contains what the program printed instead.
    """


class WatchedProcess:
    """A process whose output is read in the background, so that it never blocks.

    It is killed when this process dies, whatever the reason.
    """

    def __init__(
        self,
        title: str,
        command: Sequence[str],
        *,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        cwd: Path | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.title = title
        keeper = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self.process = subprocess.Popen(
            [*keeper, *command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environ,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _read(self, stream: IO[bytes], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def events(self) -> list[Event]:
        """Return the event lines so far."""
        with self._news:
            return [event for line in self.lines if (event := parse_event(line))]

    def named(self, event: str, **fields: object) -> list[Event]:
        """Return the events so far with this name and these fields.

        In the arguments, ``from_`` stands for ``from``.
        """
        wanted = {key.removesuffix("_"): str(value) for key, value in fields.items()}
        return [one for one in self.events if one.name == event and wanted.items() <= one.fields.items()]

    def until(self, event: str, *, count: int = 1, deadline: float = DEADLINE_S, **fields: object) -> dict[str, str]:
        """Wait for the ``count``-th such event and return its fields. Raises NotSeenError."""
        self._wait(
            lambda: len(self.named(event, **fields)) >= count,
            f"{event} {fields or ''}{f' ({count} times)' if count > 1 else ''}",
            deadline,
        )
        return dict(self.named(event, **fields)[count - 1].fields)

    def until_line(self, holds: Callable[[str], bool], what: str, deadline: float = DEADLINE_S) -> str:
        """Wait for a line of standard output and return it. Raises NotSeenError."""
        self._wait(lambda: any(map(holds, self.lines)), what, deadline)
        return next(line for line in self.lines if holds(line))

    def until_error(self, text: str) -> None:
        """Wait for ``text`` on standard error. Raises NotSeenError."""
        self._wait(lambda: any(text in line for line in self.errors), f"{text!r} on stderr", DEADLINE_S)

    def _wait(self, there: Callable[[], bool], what: str, deadline: float) -> None:
        end = time.monotonic() + deadline
        with self._news:
            while not there():
                rest = end - time.monotonic()
                if rest <= 0 or not any(reader.is_alive() for reader in self._readers):
                    raise NotSeenError(self._describe(f"no {what}"))
                self._news.wait(min(rest, 0.5))

    def _describe(self, problem: str) -> str:
        lines = "\n".join(["--- stdout", *self.lines[-60:], "--- stderr", *self.errors[-60:]])
        return f"{self.title}: {problem} (exit status {self.process.poll()})\n{lines}"

    @property
    def address(self) -> str:
        """Wait until the program listens, and return its ``IP:PORT``."""
        return self.until("listening")["address"]

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        self.wait()

    def wait(self, deadline: float = DEADLINE_S) -> int:
        """Wait for the end of the process and return its exit status.

        All output has been read by then. Raises NotSeenError on a time-out.
        """
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise NotSeenError(self._describe(f"no end within {deadline} s")) from None
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return status

    def type(self, line: str) -> None:
        """Write a line to the standard input, which must be a pipe."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Kill the process if it runs, and close its streams."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
