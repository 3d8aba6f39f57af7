"""tracker.py and peer.py as processes on 127.0.0.1: started, watched by their event lines, and ended for certain."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from torrentnet.console.remote.client import ConsoleClient
from torrentnet.runtime.events import ParsedEvent, parse_event

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[2]
TRACKER, PEER = ROOT / "tracker.py", ROOT / "peer.py"
DEADLINE_S = 20.0
"""Generous: what a test waits for comes in milliseconds, or never."""
ANYWHERE = "127.0.0.1:0"


class NotSeen(AssertionError):
    """A program did not say what was waited for; the message has all that it said instead."""


class Watched:
    """A process whose output is read in the background, so that nothing of it is lost.

    It dies with the tests, even when these are killed.
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
    def events(self) -> list[ParsedEvent]:
        """The event lines so far."""
        with self._news:
            return [event for line in self.lines if (event := parse_event(line))]

    def named(self, event: str, **fields: object) -> list[ParsedEvent]:
        """The events of that name so far whose fields are these; ``from_`` stands for ``from``."""
        wanted = {key.removesuffix("_"): str(value) for key, value in fields.items()}
        return [one for one in self.events if one.event == event and wanted.items() <= one.fields.items()]

    def until(self, event: str, *, count: int = 1, deadline: float = DEADLINE_S, **fields: object) -> dict[str, str]:
        """Wait for the ``count``-th such event; gives its fields. Raises :class:`NotSeen`."""
        self._wait(
            lambda: len(self.named(event, **fields)) >= count,
            f"{event} {fields or ''}{f' ({count} times)' if count > 1 else ''}",
            deadline,
        )
        return self.named(event, **fields)[count - 1].fields

    def until_line(self, holds: Callable[[str], bool], what: str, deadline: float = DEADLINE_S) -> str:
        """Wait for a line of standard output; gives it. Raises :class:`NotSeen`."""
        self._wait(lambda: any(map(holds, self.lines)), what, deadline)
        return next(line for line in self.lines if holds(line))

    def until_error(self, text: str) -> None:
        """Wait for ``text`` on standard error. Raises :class:`NotSeen`."""
        self._wait(lambda: any(text in line for line in self.errors), f"{text!r} on stderr", DEADLINE_S)

    def _wait(self, there: Callable[[], bool], what: str, deadline: float) -> None:
        end = time.monotonic() + deadline
        with self._news:
            while not there():
                rest = end - time.monotonic()
                if rest <= 0 or not any(reader.is_alive() for reader in self._readers):
                    raise NotSeen(self._told(f"no {what}"))
                self._news.wait(min(rest, 0.5))

    def _told(self, problem: str) -> str:
        lines = "\n".join(["--- stdout", *self.lines[-60:], "--- stderr", *self.errors[-60:]])
        return f"{self.title}: {problem} (exit status {self.process.poll()})\n{lines}"

    @property
    def address(self) -> str:
        """``IP:PORT`` that it listens on, once it has said so."""
        return self.until("listening")["address"]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.wait()

    def wait(self, deadline: float = DEADLINE_S) -> int:
        """Its exit status, once all that it said was read. Raises :class:`NotSeen` when it does not end."""
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise NotSeen(self._told(f"no end within {deadline} s")) from None
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return status

    def type(self, line: str) -> None:
        """Write a line into its standard input, which must be a pipe."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Kill it if it runs, and close what belongs to it."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Program(Watched):
    """tracker.py or peer.py. ``stdin`` is as in :class:`subprocess.Popen`."""

    def __init__(
        self,
        script: Path,
        *arguments: object,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        cwd: Path | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        words = [str(script), *map(str, arguments)]
        surroundings = {key: value for key, value in os.environ.items() if key != "TORRENTNET_CONSOLE"}
        super().__init__(
            " ".join([script.name, *words[1:]]),
            [sys.executable, *words],
            stdin=stdin,
            cwd=cwd,
            environ={**surroundings, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", **(environ or {})},
        )


class Loopback:
    """A network of programs on 127.0.0.1, each with a console socket; ``close`` ends whatever still runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs: list[Program] = []
        self._sockets: dict[Program, str] = {}

    def start(self, script: Path, *arguments: object, **popen: object) -> Program:
        """Start a program; it has a console socket unless ``--console`` is among the arguments."""
        console = str(self.directory / f"console-{len(self.programs)}.sock")
        if "--console" not in arguments:
            # In front: behind "--" nothing is an option any more.
            arguments = ("--console", console, *arguments)
        program = Program(script, *arguments, **popen)  # type: ignore[arg-type]  # passed on as they are
        self.programs.append(program)
        self._sockets[program] = console
        return program

    def tracker(self, *options: object, address: str = ANYWHERE, **popen: object) -> Program:
        """``tracker.py 127.0.0.1:0`` with a short keep-alive, once it listens."""
        if "--keepalive" not in options:
            options = ("--keepalive", "200ms", "--timeout", "700ms", *options)
        program = self.start(TRACKER, address, *options, **popen)
        program.until("listening")
        return program

    def share(self, file: Path, tracker: Program, *options: object, **popen: object) -> Program:
        """``peer.py share``, once the tracker knows it as a seed."""
        program = self.start(PEER, "share", file, tracker.address, ANYWHERE, *options, **popen)
        program.until("state", state="seed")
        return program

    def get(self, name: str, tracker: Program, directory: Path, *options: object, **popen: object) -> Program:
        """``peer.py get`` into ``directory``, which is made; not waited for."""
        directory.mkdir(exist_ok=True)
        return self.start(PEER, "get", name, tracker.address, ANYWHERE, "--dir", directory, *options, **popen)

    def ask(self, program: Program, *words: str) -> tuple[int, list[str], list[str]]:
        """A command at its console socket: exit status, lines of the answer, lines of complaint."""
        out: list[str] = []
        err: list[str] = []
        status = ConsoleClient(self._sockets[program]).run(words, out.append, err.append)
        return status, "".join(out).splitlines(), "".join(err).splitlines()

    def close(self) -> None:
        """End all programs, the last one first."""
        for program in reversed(self.programs):
            program.end()


def make_file(path: Path, size: int, seed: int = 1) -> Path:
    """A file of ``size`` random bytes that are the same for the same ``seed``."""
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def digest(path: Path) -> str:
    """Its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def running(directory: Path) -> Iterator[Loopback]:
    """A :class:`Loopback` for a fixture."""
    loopback = Loopback(directory)
    try:
        yield loopback
    finally:
        loopback.close()
