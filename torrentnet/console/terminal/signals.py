"""The signals of a terminal, while it is in use.

Tested by tests/loopback/test_console_terminal.py.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TerminalSignals:
    """Signal handlers of a terminal, which replace only default handlers.

    A program's own handlers, and ignored signals, stay. *suspend* is called before the process stops (SIGTSTP) and
    *resume* after it continues; *changed* when the process continues after any other stop (SIGCONT) or the window's
    size changes (SIGWINCH); *quit_* on SIGINT and SIGTERM. All of them run in the main thread, between any two of its
    steps.
    """

    def __init__(
        self,
        *,
        suspend: Callable[[], None],
        resume: Callable[[], None],
        changed: Callable[[bool], None],
        quit_: Callable[[], None],
    ) -> None:
        self._suspend = suspend
        self._resume = resume
        self._changed = changed
        self._quit = quit_
        self._installed: dict[signal.Signals, tuple[object, object]] = {}

    def install(self) -> None:
        """Install the handlers.

        Does nothing outside the main thread, where Python allows none.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        wanted: list[tuple[signal.Signals, Callable[[int, object], None], object]] = [
            (signal.SIGTSTP, self._on_stop, signal.SIG_DFL),
            (signal.SIGCONT, lambda *_: self._changed(True), signal.SIG_DFL),
            (signal.SIGWINCH, lambda *_: self._changed(False), signal.SIG_DFL),
            (signal.SIGTERM, lambda *_: self._quit(), signal.SIG_DFL),
            (signal.SIGINT, lambda *_: self._quit(), signal.default_int_handler),
        ]
        for number, handler, default in wanted:
            before = signal.getsignal(number)
            if before is default or before == default:
                signal.signal(number, handler)
                self._installed[number] = (handler, before)

    def remove(self) -> None:
        """Restore the defaults where the handlers are still ours."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, (handler, before) in self._installed.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, before)  # type: ignore[arg-type]  # What getsignal() returned.
        self._installed.clear()

    def _on_stop(self, number: int, _frame: object) -> None:
        self._suspend()
        # The default action, not SIGSTOP: the kernel does not stop a process that no shell could continue.
        ours = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, ours)
        self._resume()
