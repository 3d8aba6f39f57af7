"""The supervisor's event loop.

It waits for descriptors, for calls that are due later, and for the ends of child processes.

One thread. Nothing that the loop calls may block.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
_MAX_WAIT: Final = 60.0
_DRAIN: Final = 4096


class EventLoop:
    """Calls back. It owns the signal handlers of its process."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._scheduled: list[tuple[float, Callable[[], None]]] = []
        self._over = False

    def run(self) -> None:
        """Call back until :meth:`end`."""
        while not self._over:
            now = time.monotonic()
            due = [callback for when, callback in self._scheduled if when <= now]
            self._scheduled = [entry for entry in self._scheduled if entry[0] > now]
            for callback in due:
                callback()
            next_due = min((when for when, _ in self._scheduled), default=now + _MAX_WAIT)
            wait = 0.0 if self._over else next_due - now
            for key, events in self._selector.select(max(0.0, wait)):
                key.data(events)

    def end(self) -> None:
        """Let :meth:`run` return."""
        self._over = True

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, in ``delay`` seconds."""
        self._scheduled.append((time.monotonic() + delay, callback))

    def watch(self, descriptor: int, callback: Callable[[int], None], events: int = READ) -> None:
        """Call ``callback`` with a descriptor's events whenever some are ready.

        An earlier callback of the descriptor is replaced.
        """
        try:
            self._selector.modify(descriptor, events, callback)
        except KeyError:
            self._selector.register(descriptor, events, callback)

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer; call this before it is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def watch_children(self, on_exit: Callable[[int, int], None], on_terminate: Callable[[], None]) -> None:
        """Call ``on_exit`` when a child process ends, and ``on_terminate`` at a SIGTERM.

        ``on_exit`` is called with the child's process id and exit status. The status is 128 plus the signal's number
        for a child that a signal ended, as in shells and Docker.
        """
        reading, writing = os.pipe()
        for end in (reading, writing):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: on_terminate())

        def reap(_: int) -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(reading, _DRAIN)
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    return
                code = os.waitstatus_to_exitcode(status)
                on_exit(pid, 128 - code if code < 0 else code)

        self.watch(reading, reap)
