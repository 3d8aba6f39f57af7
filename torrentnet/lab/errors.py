"""What can go wrong in the lab, and with which exit status each ends.

::

    LabError                 any failure that a person should read; carries a hint and an exit status
    ├── UsageError      2    the command line asks for what there is not (an unknown scenario, node, run)
    ├── ScenarioError   2    the scenario file is wrong; carries every problem of the file at once
    └── EngineError     3    the engine (Docker, local processes) is missing or failed

An expectation that did not hold is no error: it is a verdict, and the run ends with :data:`EXIT_FAILED`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_OK = 0
EXIT_FAILED = 1
"""An expectation did not hold."""
EXIT_USAGE = 2
"""The scenario or the command line is wrong."""
EXIT_ENGINE = 3
"""The engine failed or is missing."""
EXIT_INTERRUPTED = 130
"""Ctrl-C; everything has been cleaned up."""


class LabError(Exception):
    """A failure to show to a person: what is wrong, what to do about it, and how the process ends."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = EXIT_ENGINE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class UsageError(LabError):
    """The command line asks for something that there is not."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message, hint=hint, exit_code=exit_code)


class EngineError(LabError):
    """The engine is missing, refused a command, or lost a node."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = EXIT_ENGINE) -> None:
        super().__init__(message, hint=hint, exit_code=exit_code)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a scenario file."""

    file: str
    """As the person named it."""
    line: int
    """From 1."""
    column: int
    """From 1."""
    path: str
    """Where in the document: ``timeline[2].kill``; empty for the file as a whole."""
    text: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: "
        if self.path:
            place += f"{self.path}: "
        line = _printable(place + self.text)
        return f"{line}\n    {_printable(self.hint)}" if self.hint else line


def _printable(text: str) -> str:
    """What a file quotes must neither break the line nor steer the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class ScenarioError(LabError):
    """A scenario file that cannot be used, with all of its problems in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems), exit_code=EXIT_USAGE)
