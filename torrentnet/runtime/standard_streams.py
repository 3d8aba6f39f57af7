"""Standard streams whose failure decides nothing.

A program must do its work, clean up and exit with the right status whatever happens to its output: the terminal is
closed, the reader of the pipe has gone, the disk is full, the encoding lacks a character, or the starter has closed the
descriptor (``>&-``).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
import threading
from typing import TYPE_CHECKING, Final, TextIO, cast

from torrentnet.runtime.signals import block_sigttou

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE: Final = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO, errno.ECONNRESET, errno.EBADF, errno.ETIMEDOUT})
"""Errors of a stream whose reader or terminal has gone on purpose: nobody is left to be told."""
ERROR_PATIENCE: Final = 5.0
"""Seconds for the reader of standard error, unless that is standard output, too: the result is not in it."""
FINISH_PATIENCE: Final = 1.0
"""Seconds for another thread that is writing at the end."""
_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that the starter has closed.

    Otherwise the next file or socket would get the number of a standard stream, and Python would have no such stream.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, because all lower ones are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            stream = os.fdopen(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)


def write_all(descriptor: int, data: bytes, patience: float | None = None) -> None:
    """Write all bytes, also to a non-blocking descriptor.

    Raises OSError, also where a reader does not read for ``patience`` seconds.
    """
    rest = memoryview(data)
    while rest and patience is not None:
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT)
        if not poller.poll(patience * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")
        # So much fits without waiting.
        rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(descriptor, select.POLLOUT)
            poller.poll()


class GuardedStream(io.TextIOBase):
    """A text stream for output that never raises.

    After its first failure the stream is silent, and so is its descriptor for all who inherit it. Characters that the
    encoding lacks are escaped. The stream has no attribute ``buffer``, so that no library writes past it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = -1
        # Re-entrant, because a signal handler may print while the same thread is printing.
        self._lock = threading.RLock()
        self._pending = ""
        """The line that has not ended yet."""
        self.patience: float | None = None
        """Seconds after which a reader that does not read counts as gone; None for no limit."""
        self.failure: OSError | None = None
        """The first failure; None as long as there was none."""
        # Without a descriptor (a notebook, a test's capture) the stream itself is written to.
        with contextlib.suppress(OSError, ValueError):
            self._descriptor = stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream below."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters are treated that the encoding lacks."""
        return "backslashreplace"

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the stream below. Raises OSError where there is none."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal that can still be written to."""
        try:
            return self.failure is None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def write(self, text: str) -> int:
        """Write text, or discard it after a failure."""
        with self._lock:
            self._pending += text
            if "\n" in text:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what waits for the end of its line."""
        with self._lock:
            text, self._pending = self._pending, ""
            if self.failure is not None or not text:
                return
            try:
                data = text.encode(self.encoding, self.errors)
                self._stream.flush()
                if self._descriptor < 0:
                    self._stream.write(data.decode(self.encoding))
                    self._stream.flush()
                else:
                    with block_sigttou():
                        write_all(self._descriptor, data, self.patience)
            except (OSError, ValueError) as error:
                self._fail(error)

    def finish(self) -> None:
        """Write what is left.

        Where another thread waits for a reader that does not read, nothing is written.
        """
        if self._lock.acquire(timeout=FINISH_PATIENCE):
            try:
                self.flush()
            finally:
                self._lock.release()

    def _fail(self, error: OSError | ValueError) -> None:
        self.failure = error if isinstance(error, OSError) else OSError(errno.EBADF, str(error))
        # For children that inherit the descriptor, and for Python, which flushes the stream below again at its exit.
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                try:
                    os.dup2(null, self._descriptor)
                finally:
                    os.close(null)

    @property
    def problem(self) -> str:
        """What a person must know of the failure; empty where there is nobody to be told."""
        if self.failure is None or self.failure.errno in GONE:
            return ""
        return self.failure.strerror or str(self.failure)


def reader_has_gone(stream: TextIO) -> bool:
    """Return whether nobody reads what is written to a stream.

    A program that writes seldom would otherwise notice that late.
    """
    if isinstance(stream, GuardedStream) and stream.failure is not None:
        return True
    try:
        poller = select.poll()
        poller.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poller.poll(0))
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def guarded_streams() -> Iterator[tuple[GuardedStream, GuardedStream]]:
    """Guard standard output and standard error inside a block.

    At the end, a standard output that could not be written is reported on standard error.
    """
    open_standard_streams()
    before = sys.stdout, sys.stderr
    out, err = GuardedStream(sys.stdout), GuardedStream(sys.stderr)
    with contextlib.suppress(OSError, ValueError):
        err.patience = None if os.path.sameopenfile(out.fileno(), err.fileno()) else ERROR_PATIENCE
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield out, err
    finally:
        out.finish()
        if out.problem:
            err.write(f"standard output cannot be written: {out.problem}\n")
        err.finish()
        sys.stdout, sys.stderr = before
