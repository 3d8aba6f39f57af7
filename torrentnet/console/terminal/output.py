"""Standard output as the terminal's thread sees it: a bounded queue before it, and writes that never raise.

Tested by tests/unit/console/terminal/test_terminal.py.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.signals import block_sigttou

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

MAX_PENDING_LINES: Final = 20_000
MAX_PENDING_CHARS: Final = 4 * 2**20
"""What may wait for a standard output that takes nothing. The program goes on; what is more is dropped and counted."""
WRITABLE_WAIT_MS: Final = 200


class OutputQueue:
    """Lines on their way to standard output. Any thread, and any signal handler, may put; one thread takes."""

    def __init__(self) -> None:
        """Empty."""
        # Re-entrant, because a signal handler may put while the same thread is putting.
        self._lock = threading.RLock()
        self._lines: deque[str] = deque()
        self._chars = 0
        self._dropped = 0

    def put(self, line: str) -> bool:
        """Adds a line; True when the taker has to be woken. Above the limits the line is dropped and counted."""
        with self._lock:
            if len(self._lines) >= MAX_PENDING_LINES or self._chars + len(line) > MAX_PENDING_CHARS:
                self._dropped += 1
                return False
            self._lines.append(line)
            self._chars += len(line)
            return len(self._lines) == 1

    def put_all(self, lines: Sequence[str]) -> bool:
        """Adds several lines, as :meth:`put` adds one."""
        chars = sum(map(len, lines))
        with self._lock:
            before = len(self._lines)
            if before + len(lines) <= MAX_PENDING_LINES and self._chars + chars <= MAX_PENDING_CHARS:
                self._lines.extend(lines)
                self._chars += chars
                return not before and bool(lines)
        # One by one where they do not all have room.
        return sum(self.put(line) for line in lines) > 0

    def take(self) -> list[str]:
        """All lines, and one that says how many were dropped, where some were."""
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            self._chars = 0
            dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f"(lines missing here: {dropped}; standard output was not read fast enough)")
        return lines


class OutputStream:
    """Writes text to a stream at once and whole. After an error (nobody reads any more) it swallows and counts."""

    def __init__(self, stream: TextIO) -> None:
        """Writes to the stream's descriptor where it has one, so that nothing waits in buffers."""
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self.failed = 0
        """Writes that came to nothing."""
        self.closing = threading.Event()
        """When set, a write no longer waits for a descriptor that takes nothing."""
        try:
            self.fd: int | None = stream.fileno()
        except (OSError, ValueError):
            self.fd = None

    def write(self, text: str) -> bool:
        """Writes *text*; False when that failed. Never raises."""
        try:
            # What was printed before goes first.
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
                # The descriptor's file is shared with somebody who made it non-blocking.
                if self.closing.is_set():
                    raise
                poller = select.poll()
                poller.register(fd, select.POLLOUT)
                poller.poll(WRITABLE_WAIT_MS)


class Waker:
    """Wakes a thread that waits in poll(). Safe to call from threads and signal handlers."""

    def __init__(self) -> None:
        """Opens a pipe."""
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)

    def __del__(self) -> None:
        """Closes the pipe."""
        for fd in (self.fd, self._write_fd):
            with contextlib.suppress(OSError):
                os.close(fd)

    def wake(self) -> None:
        """Makes :attr:`fd` readable."""
        # Full means that a wake-up is under way already; closed, that nobody waits any more.
        with contextlib.suppress(OSError):
            os.write(self._write_fd, b"\0")

    def drain(self) -> None:
        """Makes :attr:`fd` wait again."""
        with contextlib.suppress(OSError):
            while os.read(self.fd, 4096):
                pass
