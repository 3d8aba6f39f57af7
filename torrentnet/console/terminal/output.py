"""Standard output for the terminal's thread.

Lines wait in a bounded queue, and writes never raise.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from torrentnet.console.terminal.tty import terminal_width
from torrentnet.runtime.signals import block_sigttou

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

MAX_PENDING_LINES: Final = 20_000
MAX_PENDING_CHARS: Final = 4 * 2**20
"""Limits of the queue for a standard output that blocks; further lines are dropped and counted."""
WRITABLE_WAIT_MS: Final = 200


class OutputQueue:
    """Queue of lines for standard output.

    Any thread and any signal handler may add lines; one thread removes them.
    """

    def __init__(self) -> None:
        # Re-entrant, because a signal handler may add a line while the same thread is adding one.
        self._lock = threading.RLock()
        self._lines: deque[str] = deque()
        self._chars = 0
        self._dropped = 0

    def put(self, line: str) -> bool:
        """Add a line, and return whether the reader must be woken.

        Above the limits the line is dropped and counted.
        """
        with self._lock:
            if len(self._lines) >= MAX_PENDING_LINES or self._chars + len(line) > MAX_PENDING_CHARS:
                self._dropped += 1
                return False
            self._lines.append(line)
            self._chars += len(line)
            return len(self._lines) == 1

    def put_all(self, lines: Sequence[str]) -> bool:
        """Add several lines, as :meth:`put` adds one."""
        chars = sum(map(len, lines))
        with self._lock:
            before = len(self._lines)
            if before + len(lines) <= MAX_PENDING_LINES and self._chars + chars <= MAX_PENDING_CHARS:
                self._lines.extend(lines)
                self._chars += chars
                return not before and bool(lines)
        # One by one, if there is not room for all.
        return sum(self.put(line) for line in lines) > 0

    def take(self) -> list[str]:
        """Remove and return all lines, and one that says how many were dropped, if any."""
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            self._chars = 0
            dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f"(lines missing here: {dropped}; standard output was not read fast enough)")
        return lines


class OutputStream:
    """Write text to a stream at once and completely; failed writes are only counted."""

    def __init__(self, stream: TextIO) -> None:
        """Use the stream's descriptor, if it has one, so that nothing waits in buffers."""
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self.failed = 0
        """Number of failed writes."""
        self.closing = threading.Event()
        """When set, a write does not wait for a descriptor that blocks."""
        try:
            self.fd: int | None = stream.fileno()
        except (OSError, ValueError):
            self.fd = None

    def columns(self) -> int | None:
        """Return the terminal's columns; None where the stream is no terminal."""
        return terminal_width(self.fd) if self.fd is not None and os.isatty(self.fd) else None

    def write(self, text: str) -> bool:
        """Write *text*; return False when that failed. Never raises."""
        try:
            # Whatever was printed before comes first.
            self._stream.flush()
            if self.fd is None:
                self._stream.write(text)
                self._stream.flush()
            else:
                with block_sigttou():
                    self._write_all(self.fd, text.encode(self._encoding, "backslashreplace"))
        except (OSError, ValueError):
            self.failed += 1
            return False
        return True

    def _write_all(self, fd: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                # Another process shares the descriptor's file and made it non-blocking.
                if self.closing.is_set():
                    raise
                poller = select.poll()
                poller.register(fd, select.POLLOUT)
                poller.poll(WRITABLE_WAIT_MS)


class Waker:
    """Pipe that wakes a thread waiting in poll().

    Safe to use from threads and signal handlers.
    """

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)

    def __del__(self) -> None:
        for fd in (self.fd, self._write_fd):
            with contextlib.suppress(OSError):
                os.close(fd)

    def wake(self) -> None:
        """Make :attr:`fd` readable."""
        # A full pipe has a wake-up in it already; a closed one has no reader any more.
        with contextlib.suppress(OSError):
            os.write(self._write_fd, b"\0")

    def drain(self) -> None:
        """Make :attr:`fd` unreadable again."""
        with contextlib.suppress(OSError):
            while os.read(self.fd, 4096):
                pass
