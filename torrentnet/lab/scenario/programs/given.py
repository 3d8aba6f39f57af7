"""Programs that the command line names, beside those of the scenario.

Tested by tests/unit/lab/scenario/resolve/test_foreign.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.errors import UsageError
from torrentnet.lab.scenario.language.scalars import InvalidValueError, parse_node_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class GivenPrograms:
    """Where programs are: a folder, an archive, or ``image:NAME``."""

    named: Mapping[str, str] = field(default_factory=dict)
    """The program's name -> where it is; it goes before the scenario's own ``path`` and ``image``."""
    tracker: str = ""
    """A program to run as the tracker in the place of our own."""
    peers: str = ""
    """A program to run as each peer in the place of our own."""
    for_any: bool = False
    """Whether the scenario was written for any program: no expectation is about the words of our own."""


def parse_programs(words: Iterable[str], tracker: str | None = None, peers: str | None = None) -> GivenPrograms:
    """Parse several ``--program NAME=PATH``. Raises UsageError for any other form."""
    named: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (equals and name and path):
            raise UsageError(f"`--program {word}` names no program", hint="write NAME=PATH: `--program mine=../mine`")
        try:
            parse_node_name(name)
        except InvalidValueError as error:
            raise UsageError(
                f"`{name}` cannot be the name of a program",
                hint="use lower-case letters, digits and `-`, a letter first, at most 40 in all: `mine`",
            ) from error
        if name in named:
            raise UsageError(f"the program `{name}` is given twice", hint="remove one of them")
        named[name] = path
    return GivenPrograms(named, tracker or "", peers or "")
