"""Ctrl-C and its relatives: one ends the work, and none disturbs the clean-up."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP came. No ordinary exception: nothing but the command line's end may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = signal.Signals(number)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptHandler:
    """Raises :class:`Interrupted` once, in the main thread, and never inside of :meth:`shield`.

    A second signal, and any that comes while something is being cleaned up, is answered with one line by ``say``.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._depth = 0
        self._raised = False
        self._pending: int | None = None
        self._saying = "still cleaning up ..."

    @contextlib.contextmanager
    def installed(self) -> Iterator[InterruptHandler]:
        """Handle the signals inside of the block."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in before.items():
            # nohup sets SIGHUP to be ignored, and means it.
            if not (number == signal.SIGHUP and handler is signal.SIG_IGN):
                signal.signal(number, self._handle)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shield(self, saying: str = "still cleaning up ...") -> Iterator[None]:
        """Put off signals until the block's end: for what must not be cut off half way.

        ``saying`` answers a signal that comes meanwhile; empty for what takes no time that a person would notice.
        """
        self._depth += 1
        before, self._saying = self._saying, saying
        try:
            yield
        finally:
            self._depth -= 1
            self._saying = before
            if self._depth == 0 and self._pending is not None and not self._raised:
                self._raised = True
                raise Interrupted(self._pending)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._raised or self._depth:
            self._pending = number
            if self._saying:
                self._say(self._saying)
            return
        self._raised = True
        raise Interrupted(number)
