"""The keeper's loop: descriptors that are waited at, acts that are due later, and the ends of child processes.

One thread. Nothing that is called from it may wait.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
_LONGEST_WAIT_S = 60.0
_DRAIN = 4096


class EventLoop:
    """Calls back. It owns the signals of its process."""

    def __init__(self) -> None:
        self._select = selectors.DefaultSelector()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._over = False

    def run(self) -> None:
        """Call back until :meth:`end`."""
        while not self._over:
            now = time.monotonic()
            due = [act for when, act in self._later if when <= now]
            self._later = [entry for entry in self._later if entry[0] > now]
            for act in due:
                act()
            wait = min((when for when, _ in self._later), default=now + _LONGEST_WAIT_S) - now
            for key, events in self._select.select(max(0.0, wait)):
                key.data(events)

    def end(self) -> None:
        """Let :meth:`run` return."""
        self._over = True

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call ``act`` once, so many seconds from now."""
        self._later.append((time.monotonic() + seconds, act))

    def wait_at(self, descriptor: int, act: Callable[[int], None], events: int = READ) -> None:
        """Call ``act`` with what can be done whenever a descriptor is ready; in the place of what was said before."""
        try:
            self._select.modify(descriptor, events, act)
        except KeyError:
            self._select.register(descriptor, events, act)

    def forget(self, descriptor: int) -> None:
        """Wait at a descriptor no longer. Has to come before it is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._select.unregister(descriptor)

    def watch_children(self, ended: Callable[[int, int], None], told_to_end: Callable[[], None]) -> None:
        """Call ``ended`` with each child's process id and exit status, and ``told_to_end`` at a SIGTERM.

        The status is 128 and the signal's number where that ended it, as shells and Docker say it.
        """
        heard, tell = os.pipe()
        for end in (heard, tell):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: told_to_end())

        def reap(_: int) -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(heard, _DRAIN)
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    return
                code = os.waitstatus_to_exitcode(status)
                ended(pid, 128 - code if code < 0 else code)

        self.wait_at(heard, reap)
