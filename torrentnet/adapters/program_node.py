"""Run a program as a node until the node is stopped.

Tested by tests/unit/adapters/test_node.py.
"""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.runtime.events import EventLog


class ProgramNode(ABC):
    """Base class of the nodes that run one program until :meth:`stop`.

    Any thread or signal handler may call :meth:`stop`.
    """

    def __init__(self, name: str, events: EventLog) -> None:
        self.name = name
        self._events = events
        self._started_at = 0.0
        self._stop_reason: str | None = None
        self._stop_requested, self._stop_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def stop(self, reason: str) -> None:
        """Stop the program and end :meth:`run`."""
        self._stop_reason = self._stop_reason or reason
        # The pipe may be full, or closed at the end of run().
        with contextlib.suppress(OSError):
            os.write(self._stop_write, b"\0")

    def uptime(self) -> float:
        """Return the seconds since the program was started."""
        return time.monotonic() - self._started_at

    def run(self) -> int:
        """Run the program until it is stopped; return the exit status.

        Raises :class:`AdapterError` if the program fails.
        """
        self._started_at = time.monotonic()
        try:
            self._start()
            while self._stop_reason is None:
                self._check()
        finally:
            self._end()
            os.close(self._stop_requested)
        self._events.emit("closing", reason=self._stop_reason)
        return 0

    @abstractmethod
    def _start(self) -> None:
        """Start the program. Raises :class:`AdapterError`."""

    @abstractmethod
    def _check(self) -> None:
        """Check the program, then wait a while.

        The wait ends early when the descriptor ``_stop_requested`` is readable. Raises :class:`AdapterError` if the
        program has failed.
        """

    @abstractmethod
    def _end(self) -> None:
        """End the program, whether it was started or not."""
