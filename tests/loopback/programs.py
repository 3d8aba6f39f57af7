"""Helpers that run tracker.py and peer.py as processes on 127.0.0.1.

They watch the programs' event lines, and always end the programs.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.rig.watched_process import WatchedProcess
from tests.event_check import check_event
from torrentnet.console.remote.client import ConsoleClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.runtime.events import Event

ROOT = Path(__file__).parents[2]
TRACKER, PEER = ROOT / "tracker.py", ROOT / "peer.py"
ANYWHERE = "127.0.0.1:0"


class Program(WatchedProcess):
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

    @property
    def events(self) -> list[Event]:
        """The events so far; each is checked against the table of events."""
        events = super().events
        assert not [wrong for event in events if (wrong := check_event(event.name, set(event.fields)))]
        return events


class Loopback:
    """Programs on 127.0.0.1, each with a console socket.

    :meth:`close` ends those that still run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs: list[Program] = []
        self._sockets: dict[Program, str] = {}

    def start(self, script: Path, *arguments: object, **popen: object) -> Program:
        """Start a program.

        The program has a console socket unless ``--console`` is among the arguments.
        """
        console = str(self.directory / f"console-{len(self.programs)}.sock")
        if "--console" not in arguments:
            # In front: behind "--" nothing is an option any more.
            arguments = ("--console", console, *arguments)
        program = Program(script, *arguments, **popen)  # type: ignore[arg-type]  # passed on as they are
        self.programs.append(program)
        self._sockets[program] = console
        return program

    def tracker(self, *options: object, address: str = ANYWHERE, **popen: object) -> Program:
        """Start a tracker with a short keep-alive, and wait until it listens."""
        if "--keepalive" not in options:
            options = ("--keepalive", "200ms", "--timeout", "700ms", *options)
        program = self.start(TRACKER, address, *options, **popen)
        program.until("listening")
        return program

    def share(self, file: Path, tracker: Program, *options: object, **popen: object) -> Program:
        """Start ``peer.py share``, and wait until the tracker lists the peer as a seed."""
        program = self.start(PEER, "share", file, tracker.address, ANYWHERE, *options, **popen)
        program.until("state", state="seed")
        return program

    def get(self, name: str, tracker: Program, directory: Path, *options: object, **popen: object) -> Program:
        """Start ``peer.py get`` into ``directory``, which is created; do not wait for it."""
        directory.mkdir(exist_ok=True)
        return self.start(PEER, "get", name, tracker.address, ANYWHERE, "--dir", directory, *options, **popen)

    def ask(self, program: Program, *words: str) -> tuple[int, list[str], list[str]]:
        """Run a command at a program's console socket.

        Return the exit status, the lines of output, and the lines of errors.
        """
        out: list[str] = []
        err: list[str] = []
        status = ConsoleClient(self._sockets[program]).run(words, out.append, err.append)
        return status, "".join(out).splitlines(), "".join(err).splitlines()

    def close(self) -> None:
        """End all programs, the last one first."""
        for program in reversed(self.programs):
            program.end()


def make_file(path: Path, size: int, seed: int = 1) -> Path:
    """Write a file of ``size`` random bytes, and return its path.

    The bytes depend only on ``seed``.
    """
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def running(directory: Path) -> Iterator[Loopback]:
    """Yield a :class:`Loopback` for a fixture, and close it."""
    loopback = Loopback(directory)
    try:
        yield loopback
    finally:
        loopback.close()
