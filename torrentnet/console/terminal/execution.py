"""Execution of commands that are typed at a terminal.

Answers are written in batches as they are made.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.console.table import for_terminal
from torrentnet.runtime.text import wrap_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

BATCH_CHARS: Final = 8 * 1024
BATCH_INTERVAL: Final = 0.1


class TerminalCommands(Protocol):
    """What a terminal needs of a :class:`~torrentnet.console.commands.Commands`."""

    name: str

    def execute(self, line: str, out: Callable[[str], None], err: Callable[[str], None]) -> int:
        """Execute one line and return its status; raises only what *out* and *err* raise."""
        ...

    def complete(self, text: str) -> list[str]:
        """Return candidates for the last word of *text*; never raises."""
        ...


class _EndedError(Exception):
    """The terminal was stopped while a command was answering."""


class LineExecution:
    """Execution of typed lines, whose answers are passed to *write*.

    The lines are commands of *commands*. Once *stopping* is set, a command ends. *width* returns the columns of the
    terminal, between whose words longer lines are wrapped; without it no line is.
    """

    def __init__(
        self,
        commands: TerminalCommands,
        write: Callable[[str], None],
        stopping: Event,
        width: Callable[[], int | None] | None = None,
    ) -> None:
        self._commands = commands
        self._width = width
        self._write = write
        self._stopping = stopping
        self._lines: list[str] = []
        self._chars = 0
        self._written_at = 0.0

    def execute(self, line: str) -> None:
        """Execute one command line, and write all of its answer."""
        self._written_at = time.monotonic()
        try:
            with for_terminal(self._columns()):
                self._commands.execute(line, self._add, self._add)
            self._flush()
        except _EndedError:
            pass

    def _columns(self) -> int | None:
        return self._width() if self._width is not None else None

    def _add(self, line: str) -> None:
        if self._stopping.is_set():
            raise _EndedError
        width = self._columns()
        self._lines += [line] if width is None else wrap_line(line, width)
        self._chars += len(line)
        if self._chars >= BATCH_CHARS or time.monotonic() - self._written_at >= BATCH_INTERVAL:
            self._flush()

    def _flush(self) -> None:
        lines, self._lines, self._chars = self._lines, [], 0
        self._written_at = time.monotonic()
        if lines:
            self._write("\n".join(lines) + "\n")
