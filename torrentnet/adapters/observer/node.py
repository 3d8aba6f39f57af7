"""The loop that watches a program and emits what is seen of it as events."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.observer.child import descendants
from torrentnet.adapters.observer.file_search import FileSearch
from torrentnet.adapters.observer.network.network_watch import FILE_ROLES, NetworkWatch
from torrentnet.adapters.observer.output import OutputLimit, OutputLines
from torrentnet.adapters.observer.terminal import ProgramTerminal
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from torrentnet.adapters.observer.child import ProgramChild
    from torrentnet.adapters.observer.settings import ObserverSettings, WantedFile
    from torrentnet.runtime.events import EventLog
    from torrentnet.runtime.system import System

POLL_INTERVAL: Final = 0.05
"""Seconds between two looks at a program that is not up, or has not got its file."""
IDLE_INTERVAL: Final = 0.1
SEARCH_INTERVAL: Final = 0.1
"""Seconds between two searches for the complete file."""
STOP_TIMEOUT: Final = 5.0
"""Seconds that a program has to end after SIGTERM."""
LEFT_OUT_INTERVAL: Final = 1.0
READ_BYTES: Final = 64 * 1024
MAX_LAST_OUTPUT: Final = 1024 * 1024
"""Bytes that are read after the program's end."""


class ObservedNode:
    """A program that is watched from its start to its end.

    Any thread or signal handler may call :meth:`stop`.
    """

    def __init__(self, settings: ObserverSettings, child: ProgramChild, events: EventLog, system: System) -> None:
        self.settings = settings
        self.child = child
        self.terminal = ProgramTerminal(child.terminal, settings, system)
        self.state = "starting"
        """What the node does, for people."""
        self.found = ""
        """Path of the complete file in the node's directory."""
        self.network = NetworkWatch(settings, events, system, lambda: descendants(os.getpid()))
        self._events = events
        self._system = system
        self._lines = OutputLines(settings.quiet)
        self._limit = OutputLimit(settings.max_output)
        self._left_out_at = 0.0
        self._started = system.monotonic()
        self._reported_file = False
        self._reported_seed = False
        self._stop_reason = ""
        self._kill_at: float | None = None
        self._search_end = threading.Event()
        self._wake, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def uptime(self) -> float:
        """Return the seconds since the program was started."""
        return self._system.monotonic() - self._started

    def stop(self, reason: str) -> None:
        """Ask the program to end, and end :meth:`run` when it has."""
        self._stop_reason = self._stop_reason or reason
        self._wake_loop()

    def run(self) -> int:
        """Let the program run, and return its exit status when it has ended."""
        self._started = self._system.monotonic()
        self.network.start()
        self.child.release()
        if failure := self.child.failure():
            self._events.error("error", reason=failure)
        else:
            self._watch()
        return self._end()

    # -- the loop ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        settings = self.settings
        self.state = "running"
        self.network.begin()
        if settings.role == "get":
            self.state = "get"
            self._events.emit("state", state="get", file=settings.wanted.name if settings.wanted else "")
        if settings.wanted is not None and settings.role in FILE_ROLES:
            self._system.start_thread(self._search, "files")
        with self._system.make_selector() as selector, contextlib.ExitStack() as stack:
            selector.register(self.child.terminal, selectors.EVENT_READ, self._read_output)
            selector.register(self._wake, selectors.EVENT_READ, self._drain_wake)
            with contextlib.suppress(OSError):
                # Without it, the end of the program is seen at the next look.
                ended = os.pidfd_open(self.child.pid)
                stack.callback(os.close, ended)
                selector.register(ended, selectors.EVENT_READ, lambda _: None)
            while self.child.reap() is None:
                for key, _ in selector.select(self._timeout()):
                    key.data(self._system.monotonic())
                self._look(self._system.monotonic())

    def _timeout(self) -> float:
        waits = not self.network.up or (self.settings.role == "get" and not self._reported_seed)
        interval = POLL_INTERVAL if waits else IDLE_INTERVAL
        due = self._lines.due
        return interval if due is None else max(0.0, min(interval, due - self._system.monotonic()))

    def _look(self, now: float) -> None:
        """Look at everything that does not report by itself."""
        prompts = self._lines.idle(now)
        self.terminal.prompt = self._lines.prompt
        self._say(prompts, now)
        self._report_left_out(now)
        self.network.look(now, complete=self._reported_file)
        if self.found:
            self._report_file()
        if self._stop_reason and self._kill_at is None:
            self._kill_at = now + STOP_TIMEOUT
            self.child.signal(signal.SIGTERM)
        if self._kill_at is not None and now >= self._kill_at:
            self.child.kill(self._system)

    # -- output ------------------------------------------------------------------------------------

    def _read_output(self, now: float) -> int:
        """Read what the program has printed; return the number of bytes."""
        try:
            data = os.read(self.child.terminal, READ_BYTES)
        except OSError:
            return 0
        self.terminal.feed(data, now)
        cut = self._limit.count(len(data))
        if cut or not self._limit.exhausted:
            self._say(self._lines.feed(data, now), now)
        if cut:
            self._events.warning("output_cut", bytes=self.settings.max_output)
        return len(data)

    def _say(self, lines: list[str], now: float) -> None:
        for line in lines:
            if self._limit.allows(now):
                self._events.emit("said", text=line)

    def _report_left_out(self, now: float, *, last: bool = False) -> None:
        if self._limit.dropped and (last or now >= self._left_out_at + LEFT_OUT_INTERVAL):
            self._events.emit("left_out", lines=self._limit.dropped, reason="the program prints too many lines")
            self._limit.dropped = 0
            self._left_out_at = now

    # -- the file ----------------------------------------------------------------------------------

    def _search(self) -> None:
        """Search for the complete file until there is one; on a thread of its own."""
        block_signals()
        assert self.settings.wanted is not None
        search = FileSearch(self.settings.directory, self.settings.wanted, self._system)
        while not self._search_end.wait(SEARCH_INTERVAL):
            if path := search.look():
                self.found = path
                self._wake_loop()
                return

    def _report_file(self) -> None:
        wanted, share = self.settings.wanted, self.settings.role == "share"
        assert wanted is not None
        if not self._reported_file and (self.network.up or not share):
            self._reported_file = True
            if share:
                self._events.emit("published", file=wanted.name, size=wanted.size, sha256=wanted.sha256)
            else:
                self._report_complete(wanted)
        if self._reported_file and not self._reported_seed and self.network.up and self.network.listens:
            self._reported_seed = True
            self.state = "seed"
            self._events.emit("state", state="seed", file=wanted.name)

    def _report_complete(self, wanted: WantedFile) -> None:
        network = self.network
        network.count(self._system.monotonic())
        network.report_complete()
        sources = [f"{peer}:{total.received}" for peer, total in sorted(network.totals.items()) if total.received]
        self._events.emit(
            "completed",
            file=wanted.name,
            bytes=network.received,
            ms=round(1000 * self.uptime()),
            sha256=wanted.sha256,
            sources=",".join(sources),
        )

    # -- the end -----------------------------------------------------------------------------------

    def _end(self) -> int:
        self._search_end.set()
        self.child.kill(self._system)
        now = self._system.monotonic()
        left = MAX_LAST_OUTPUT
        while left > 0 and (size := self._read_output(now)):
            left -= size
        self._say(self._lines.finish(), now)
        self._report_left_out(now, last=True)
        self.terminal.end()
        self.network.count(now, last=True)
        wanted = self.settings.wanted
        if wanted is not None and not self._reported_file and self.settings.role == "get":
            # A program may end right after its last byte.
            self.found = self.found or FileSearch(self.settings.directory, wanted, self._system).look(last=True) or ""
            if self.found:
                self._report_file()
        if self._stop_reason:
            self._events.emit("closing", reason=self._stop_reason)
        status = self.child.reap()
        status = 128 + signal.SIGKILL if status is None else status
        self.state = f"exited ({status})"
        self._events.emit("exited", status=status)
        self.child.close()
        self.network.close()
        return status

    def _drain_wake(self, _now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, READ_BYTES):
                pass

    def _wake_loop(self) -> None:
        # A full pipe has a wake-up in it already.
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")
