"""Ctrl-C and similar signals, which end the work in an orderly way.

The first one ends the work, and none interrupts the clean-up.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEANING_UP: Final = "still cleaning up ..."


class Interrupted(BaseException):
    """The exception for a received SIGINT, SIGTERM or SIGHUP.

    Only the end of the command line may catch it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = signal.Signals(number)


class InterruptHandler:
    """A handler of signals that raises :class:`Interrupted` once.

    It is raised in the main thread, and never inside :meth:`shield`. Each later signal, and each signal during a
    clean-up, is acknowledged with one line by ``print_line``.
    """

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._depth = 0
        self._raised = False
        self._pending: int | None = None
        self._message = CLEANING_UP

    @contextlib.contextmanager
    def installed(self) -> Iterator[InterruptHandler]:
        """Handle the signals inside the block. Does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in before.items():
            # nohup ignores SIGHUP on purpose.
            if not (number == signal.SIGHUP and handler is signal.SIG_IGN):
                signal.signal(number, self._handle)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shield(self, message: str = CLEANING_UP) -> Iterator[None]:
        """Delay signals until the end of a block that must not be left half done.

        ``message`` acknowledges a signal meanwhile; it is empty for a block that takes no noticeable time.
        """
        self._depth += 1
        before, self._message = self._message, message
        try:
            yield
        finally:
            self._depth -= 1
            self._message = before
            if self._depth == 0 and self._pending is not None and not self._raised:
                self._raised = True
                raise Interrupted(self._pending)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._raised or self._depth:
            self._pending = number
            if self._message:
                self._print_line(self._message)
            return
        self._raised = True
        raise Interrupted(number)
