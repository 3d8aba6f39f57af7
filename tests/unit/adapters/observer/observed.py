"""The observer as a real process, with a program of a few lines."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.rig.watched_process import WatchedProcess
from tests.event_check import check_event
from torrentnet.console.remote.client import ConsoleClient
from torrentnet.runtime.event_table import ADAPTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.runtime.events import Event

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for users and networks of its own")
DEADLINE = 30.0
ROOT = Path(__file__).parents[4]
FILE = "myfile.txt"
CONTENT = b"hello, world!\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WANTED = ("--file", FILE, "--size", str(len(CONTENT)), "--sha256", SHA256)


def wait_until(holds: Callable[[], bool]) -> bool:
    """Wait until something that no event tells is so; return whether it is."""
    end = time.monotonic() + DEADLINE
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.02)
    return held


class Observer(WatchedProcess):
    """An observer with its program, in a directory of its own."""

    def __init__(
        self,
        directory: Path,
        role: str,
        *options: object,
        argv: Sequence[str] = (),
        code: str = "",
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        name: str = "node-1",
    ) -> None:
        self.directory = directory / "node"
        self.console = ConsoleClient(str(directory / "console.sock"))
        program = list(argv) or [sys.executable, "-c", code]
        own = ["--name", name, "--dir", str(self.directory), "--console", self.console.path, *map(str, options)]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TORRENTNET_")}
        super().__init__(
            f"observe {role}",
            [*prefix, sys.executable, "-m", "torrentnet.adapters.observer", role, *own, "--", *program],
            stdin=subprocess.DEVNULL,
            cwd=directory,
            environ={
                **kept,
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "error",
                "PYTHONSAFEPATH": "1",
                **(environ or {}),
            },
        )

    @property
    def events(self) -> list[Event]:
        """The events so far; each is checked against the table of events."""
        events = super().events
        wrong = [text for event in events if (text := check_event(event.name, set(event.fields), ADAPTER))]
        assert not wrong
        return events

    def said(self) -> list[str]:
        """What the program has printed so far, line by line."""
        return [event.fields["text"] for event in self.named("said")]

    def ask(self, *words: str) -> str:
        """Send a command over the console, and return its output; it must succeed."""
        out: list[str] = []
        err: list[str] = []
        status = self.console.run(words, out.append, err.append)
        assert status == 0, "".join(err)
        return "".join(out)
