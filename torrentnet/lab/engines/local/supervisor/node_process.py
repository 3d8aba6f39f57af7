"""One node's process: its state, and its output as journal entries.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local.supervisor.journal import JournalEntry, OutputLineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torrentnet.lab.engines.local.protocol import SupervisedNode
    from torrentnet.lab.engines.local.supervisor.bridge import BridgePort
    from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
    from torrentnet.lab.engines.local.supervisor.sandbox_root import Sandbox

    Record = Callable[[str, list[JournalEntry]], None]

CREATED, RUNNING, PAUSED, EXITED = "created", "running", "paused", "exited"
READ_SIZE: Final = 64 * 1024
MAX_FINAL_READ: Final = 1 << 20
"""Bytes of output that are read after the end of a node."""


@dataclass(slots=True)
class NodeProcess:
    """A node, with or without a running program."""

    spec: SupervisedNode
    environment: Mapping[str, str]
    loop: EventLoop
    record: Record
    """Writes entries into the journal."""
    status: str = CREATED
    exit_code: int | None = None
    pid: int = 0
    port: BridgePort | None = None
    """Its connection to the bridge; outlives the program for a moment."""
    sandbox: Sandbox | None = None
    on_exit: list[Callable[[], None]] = field(default_factory=list)
    """Called once when the program has ended."""
    _output: int = -1
    _lines: OutputLineSplitter = field(default_factory=OutputLineSplitter)

    @property
    def alive(self) -> bool:
        """Whether the program runs or is paused."""
        return self.status in {RUNNING, PAUSED}

    def started(self, pid: int, output: int, at: float) -> None:
        """Note the start of the program and follow its output, a non-blocking descriptor."""
        self.pid, self._output, self._lines = pid, output, OutputLineSplitter()
        self.change(RUNNING, at)
        self.loop.watch(output, self._readable)

    def ended(self, code: int) -> None:
        """Note the end of the program."""
        # Its last output comes first. A child of its own may hold the stream open, so do not wait for its end.
        total = 0
        while self._output >= 0 and total < MAX_FINAL_READ:
            size = self._read()
            if not size:
                break
            total += size
        self._record_lines(self._lines.end())
        self._close_output()
        self.pid = 0
        self.change(EXITED, code=code)

    def change(self, status: str, at: float | None = None, code: int | None = None) -> None:
        """Change the status, and record that."""
        self.status, self.exit_code = status, code
        moment = time.monotonic() if at is None else at
        self.record(self.spec.name, [JournalEntry(self.spec.name, moment, None, status, code)])

    def kill(self, pid: int) -> None:
        """Kill the program if it still is the process ``pid``."""
        if self.pid == pid and self.alive:
            os.kill(pid, signal.SIGKILL)

    def _readable(self, _: int) -> None:
        self._read()

    def _read(self) -> int:
        """Read and record some output, and return its length.

        The result is 0 where there is no output now. The method closes the stream at its end.
        """
        try:
            data = os.read(self._output, READ_SIZE)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        self._record_lines(self._lines.feed(data) if data else self._lines.end())
        if not data:
            self._close_output()
        return len(data)

    def _record_lines(self, lines: list[str]) -> None:
        if lines:
            now = time.monotonic()
            self.record(self.spec.name, [JournalEntry(self.spec.name, now, line) for line in lines])

    def _close_output(self) -> None:
        if self._output >= 0:
            self.loop.forget(self._output)
            os.close(self._output)
            self._output = -1
