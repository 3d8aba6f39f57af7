"""The lab's errors, with their exit statuses (:mod:`torrentnet.runtime.process`).

- :class:`LabError`: a failure that a person should read, with a hint and an exit status.

  - :class:`UsageError` (2): a wrong command line: an unknown scenario, node or option.
  - :class:`ScenarioError` (2): a wrong scenario file, with all of its problems.
  - :class:`EngineError` (3): the engine (Docker, local processes) is missing or has failed.
  - :class:`NotJudgedError` (3): what the verdict of a run needs was lost.

An expectation that does not hold is not an error but a verdict: the run ends with exit status 1.

Tested by tests/unit/lab/scenario/test_wrong.py, tests/unit/lab/cli/test_app.py.
"""

from __future__ import annotations

import errno
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torrentnet.runtime.process import EXIT_UNAVAILABLE, EXIT_USAGE
from torrentnet.wire.errors import TorrentnetError

if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_PROBLEMS: Final = 50
"""Problems that the text of an error shows; a document with ``--json`` has all of them."""
MAX_CHARS: Final = 800
"""Characters of a message and of a hint; a value of the file may be of any length."""
HINT_WIDTH: Final = 80
_QUOTED: Final = re.compile("`[^`]{1,70}`")
_HINT: Final[dict[str, Any]] = {
    "width": HINT_WIDTH,
    "initial_indent": "    ",
    "subsequent_indent": "    ",
    "break_long_words": False,
    "break_on_hyphens": False,
}
"""How a hint is laid out: words are never broken, because people copy them."""
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO})


class LabError(TorrentnetError):
    """A failure to show to a person, with a hint and the exit status.

    The message says what is wrong; the hint says what to do about it.
    """

    default_exit_code = EXIT_UNAVAILABLE

    def __init__(self, message: str, *, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class UsageError(LabError):
    """The command line is wrong."""

    default_exit_code = EXIT_USAGE


class EngineError(LabError):
    """The engine is missing, rejected a command, or lost a node."""


class NotJudgedError(LabError):
    """What a verdict needs was lost: lines or states of the nodes, or the record."""


def system_error(error: OSError) -> LabError:
    """Return the error for a failure of the machine, such as a full disk."""
    place = f": {error.filename}" if error.filename else ""
    return LabError(
        f"{error.strerror or error}{place}",
        hint="free some space, or name another directory with `--runs DIR` or TORRENTNET_HOME"
        if error.errno in _DISK_ERRORS
        else "",
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a scenario file."""

    file: str
    """As it was given on the command line."""
    line: int
    """From 1."""
    column: int
    """From 1."""
    path: str
    """Position in the document: ``timeline[2].kill``; empty for the whole file."""
    text: str
    hint: str = ""
    excerpt: str = ""
    """The line of the file, and below it a caret under the place; empty where the file has no such line."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: "
        if self.path:
            place += f"{self.path}: "
        lines = [_printable(place + self.text), *self.excerpt.splitlines()]
        if self.hint:
            # What is to be copied stays on one line.
            joined = _QUOTED.sub(lambda found: found[0].replace(" ", "\0"), _printable(self.hint))
            lines += [line.replace("\0", " ") for line in textwrap.wrap(joined, **_HINT)]
        return "\n".join(lines)


def _printable(text: str) -> str:
    """Escape what could control the terminal, and cut what is too long."""
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


class ScenarioError(LabError):
    """A wrong scenario file, with all of its problems in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        shown = [str(problem) for problem in self.problems[:MAX_PROBLEMS]]
        if more := len(self.problems) - len(shown):
            shown.append(f"and {more} more problems")
        super().__init__("\n".join(shown), exit_code=EXIT_USAGE)
