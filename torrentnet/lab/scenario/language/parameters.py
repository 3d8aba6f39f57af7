"""``parameters:``, values with defaults that the command line can set.

A parameter is used as ``$name`` or ``${name}``. Parameters are substituted before the models parse the document, so
that a value has the type of the place where it is used: a duration in one place, a count in another. An error is
reported in that place, with the parameter's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.document import Document, MappingEntry, MappingNode, ScalarNode, SequenceNode
from torrentnet.lab.scenario.language.scalars import (
    InvalidValueError,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)
from torrentnet.runtime.suggestions import closest, did_you_mean
from torrentnet.runtime.units import UnitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import DocumentNode, KeyPath

PARAMETERS_SECTION: Final = "parameters"
MAX_VALUE: Final = 200
"""Characters of a value from the command line."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_USE: Final = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>[^}]*)\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))")


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidValueError("")
    return int(text)


_KINDS: Final[dict[str, Callable[[str], object]]] = {
    "a whole number": _whole_number,
    "a duration": parse_duration,
    "a size": parse_size,
    "a rate": parse_rate,
    "a share": parse_share,
}


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    origin: str


def substitute_parameters(
    document: Document, settings: Mapping[str, str]
) -> tuple[Document, list[Problem], dict[str, str]]:
    """Replace every ``$name``; ``settings`` are values from the command line, by name.

    Returns the document, the problems of parameters, uses and settings, and the current values.
    """
    problems: list[Problem] = []
    defaults = _defaults(document, problems)
    values = {name: _Value(text, f"`{name}` is `{text}` by default") for name, text in defaults.items()}
    for name, text in settings.items():
        if wrong := _setting_problem(document, defaults, name, text):
            problems.append(wrong)
        else:
            values[name] = _Value(text, f"`{name}` is `{text}` from the command line")
    substitution = _Substitution(document, values, problems)
    root = substitution.mapping(document.root, ())
    if not substitution.unresolved:
        problems += [
            document.problem((PARAMETERS_SECTION, name), f"the parameter `{name}` is not used", f"write `${name}`")
            for name in defaults
            if name not in substitution.used and _NAME.fullmatch(name)
        ]
    changed = replace(document, root=root, unresolved=frozenset(substitution.unresolved))
    return changed, problems, {name: value.text for name, value in values.items()}


def _defaults(document: Document, problems: list[Problem]) -> dict[str, str]:
    entry = document.root.get(PARAMETERS_SECTION)
    found: dict[str, str] = {}
    if entry is None or not isinstance(entry.value, MappingNode):
        return found
    for parameter in entry.value.entries:
        if not _NAME.fullmatch(parameter.key):
            problems.append(
                document.problem(
                    (PARAMETERS_SECTION, parameter.key),
                    f"`{parameter.key}` cannot be the name of a parameter",
                    "use lower-case letters, digits and `_`, a letter first, at most 40 in all: `leechers`",
                )
            )
        if isinstance(parameter.value, ScalarNode) and parameter.value.text is not None:
            found[parameter.key] = parameter.value.text
    return found


def _setting_problem(document: Document, defaults: dict[str, str], name: str, text: str) -> Problem | None:
    if name not in defaults:
        hint = did_you_mean(name, defaults, "there are") if defaults else "this scenario has no parameters"
        return document.problem(
            (PARAMETERS_SECTION,), f"the command line sets `{name}`, which is not a parameter", hint
        )
    loc = (PARAMETERS_SECTION, name)
    if len(text) > MAX_VALUE or not text.isprintable() or not text.strip():
        return document.problem(loc, f"the command line sets `{name}` to an invalid value", "write one short line")
    kind = _kind(defaults[name])
    if kind is not None:
        try:
            _KINDS[kind](text)
        except UnitError as error:
            hint = error.hint or f"its default is `{defaults[name]}`"
            return document.problem(loc, f"the command line sets `{name}` to `{text}`, which is not {kind}", hint)
    return None


def _kind(text: str) -> str | None:
    for kind, parse in _KINDS.items():
        try:
            parse(text)
        except UnitError:
            continue
        return kind
    return None


class _Substitution:
    """The substitution of parameters in a document's tree."""

    def __init__(self, document: Document, values: dict[str, _Value], problems: list[Problem]) -> None:
        self.used: set[str] = set()
        self.unresolved: set[KeyPath] = set()
        """Values that use an unknown name, so that any parameter may be meant."""
        self._document = document
        self._values = values
        self._problems = problems

    def mapping(self, node: MappingNode, loc: KeyPath) -> MappingNode:
        entries: list[MappingEntry] = []
        for entry in node.entries:
            place = (*loc, entry.key)
            if _USE.search(entry.key):
                problem = self._document.problem(place, "a key cannot be a parameter", "use parameters in values")
                self._problems.append(problem)
            is_definition = place == (PARAMETERS_SECTION,)
            entries.append(entry if is_definition else replace(entry, value=self._node(entry.value, place)))
        return replace(node, entries=tuple(entries))

    def _node(self, node: DocumentNode, loc: KeyPath) -> DocumentNode:
        if isinstance(node, MappingNode):
            return self.mapping(node, loc)
        if isinstance(node, SequenceNode):
            return replace(node, items=tuple(self._node(item, (*loc, index)) for index, item in enumerate(node.items)))
        if node.text is None or "$" not in node.text:
            return node
        origins: dict[str, None] = {}

        def substitute(match: re.Match[str]) -> str:
            if match["dollar"]:
                return "$"
            name = match["braced"] if match["braced"] is not None else match["plain"]
            value = self._values.get(name)
            if value is None:
                self._note_unknown(loc, name, match[0])
                return match[0]
            self.used.add(name)
            origins[value.origin] = None
            return value.text

        return replace(node, text=_USE.sub(substitute, node.text), origin=", ".join(origins))

    def _note_unknown(self, loc: KeyPath, name: str, written: str) -> None:
        self.unresolved.add(loc)
        close = closest(name, self._values)
        hint = f"did you mean `${close}`?" if close else f"add it to `parameters`; for a dollar sign write `${written}`"
        self._problems.append(self._document.problem(loc, f"there is no parameter `{name}`", hint, at_value=True))
