"""The surroundings of every program's work.

They are the terminal, the console socket, the event log and the signals.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, TypeVar

from torrentnet.console.commands import Commands
from torrentnet.console.remote.server import ConsoleServer
from torrentnet.console.terminal.terminal import Terminal
from torrentnet.runtime.events import EventLog
from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from torrentnet.runtime.system import System

T = TypeVar("T")


class ProgramShell:
    """Command line and event log of a program.

    Enter the shell before the work is prepared, then :meth:`run` the work. From then on SIGINT, SIGTERM and ``quit``
    call :meth:`stop`. *program* is ``tracker`` or ``peer``, *name* the node's own name, *console* the path of the
    console socket, if any. *commands* are the program's, if it brings its own.
    """

    def __init__(
        self,
        program: str,
        name: str,
        *,
        console: str | os.PathLike[str] | None,
        log_level: str,
        system: System = MACHINE,
        commands: Commands | None = None,
    ) -> None:
        self.commands = commands or Commands(program, name=name, on_quit=lambda: self.stop("quit"))
        self.terminal = Terminal(self.commands, sys.stdin, sys.stdout)
        self.events = EventLog(
            self.terminal.write_line, system.wall_time, log_level, write_all=self.terminal.write_lines
        )
        self._console = ConsoleServer(console, self.commands) if console else None
        self._cleanup = ExitStack()
        self._reason = ""
        self._stop_work: Callable[[str], None] | None = None

    def __enter__(self) -> Self:
        # Before the terminal starts, which leaves a program's own handlers alone.
        for number in (signal.SIGINT, signal.SIGTERM):
            previous = signal.signal(number, lambda received, _frame: self.stop(signal.Signals(received).name))
            self._cleanup.callback(signal.signal, number, previous)
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def stop(self, reason: str) -> None:
        """Ask the work to end, even before the work has begun.

        Safe to call from threads and signal handlers.
        """
        self._reason = self._reason or reason
        if self._stop_work is not None:
            self._stop_work(reason)

    def run(self, work: Callable[[], T], stop: Callable[[str], None]) -> T:
        """Run *work*, answer commands meanwhile, and return what *work* returns.

        *stop* asks the work to end, and says why. Raises ConsoleServerError when the console socket cannot be had, and
        whatever *work* raises.
        """
        with ExitStack() as stack:
            if self._console is not None:
                self._console.start()
                stack.callback(self._console.stop)
            self.terminal.start()
            stack.callback(self.terminal.stop)
            self._stop_work = stop
            if self._reason:
                stop(self._reason)
            return work()
