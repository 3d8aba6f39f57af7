"""``parameters:`` values with defaults that the command line can set, used as ``$name`` or ``${name}`` in any value.

They are put in place before the models read the document, so that a value has its type where it is used: a duration in
one place, a count in another. What is wrong with it is told there, with the parameter's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.document import Document, MappingEntry, MappingNode, ScalarNode, SequenceNode
from torrentnet.lab.scenario.language.units import UnitError, parse_duration, parse_rate, parse_share, parse_size
from torrentnet.runtime.suggestions import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping as Dict

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import DocumentNode, KeyPath

PARAMETERS_SECTION = "parameters"
MAX_VALUE = 200
"""Characters of a value from the command line."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_USE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>[^}]*)\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))")


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise UnitError("")
    return int(text)


_KINDS: dict[str, Callable[[str], object]] = {
    "a whole number": _whole,
    "a duration": parse_duration,
    "a size": parse_size,
    "a rate": parse_rate,
    "a share": parse_share,
}


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    because: str


def substitute_parameters(
    document: Document, settings: Dict[str, str]
) -> tuple[Document, list[Problem], dict[str, str]]:
    """The document with every ``$name`` replaced.

    Args:
        document: as it was written.
        settings: values from the command line, by name.

    Returns:
        The document, what is wrong with the parameters, their uses and the settings, and the values in force.
    """
    problems: list[Problem] = []
    defaults = _defaults(document, problems)
    values = {name: _Value(text, f"`{name}` is `{text}`, its default") for name, text in defaults.items()}
    for name, text in settings.items():
        if wrong := _setting_problem(document, defaults, name, text):
            problems.append(wrong)
        else:
            values[name] = _Value(text, f"`{name}` is `{text}`, from the command line")
    putter = _Substitution(document, values, problems)
    root = putter.mapping(document.root, ())
    if not putter.unsure:
        problems += [
            document.problem((PARAMETERS_SECTION, name), f"the parameter `{name}` is used nowhere", f"write `${name}`")
            for name in defaults
            if name not in putter.used and _NAME.fullmatch(name)
        ]
    changed = replace(document, root=root, broken=frozenset(putter.broken))
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
                    "small letters, digits and `_`, at most 40, a letter first: `leechers`",
                )
            )
        if isinstance(parameter.value, ScalarNode) and parameter.value.text is not None:
            found[parameter.key] = parameter.value.text
    return found


def _setting_problem(document: Document, defaults: dict[str, str], name: str, text: str) -> Problem | None:
    if name not in defaults:
        hint = did_you_mean(name, defaults, "there are") if defaults else "this scenario has no parameters"
        return document.problem((PARAMETERS_SECTION,), f"the command line sets `{name}`, which is no parameter", hint)
    if len(text) > MAX_VALUE or not text.isprintable() or not text.strip():
        return document.problem(
            (PARAMETERS_SECTION, name),
            f"the command line sets `{name}` to something that is no value",
            "a short text in one line",
        )
    kind = _kind(defaults[name])
    if kind is not None:
        try:
            _KINDS[kind](text)
        except UnitError as error:
            return document.problem(
                (PARAMETERS_SECTION, name),
                f"the command line sets `{name}` to `{text}`, which is not {kind}",
                error.hint or f"its default is `{defaults[name]}`",
            )
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
    """Goes through the tree once."""

    def __init__(self, document: Document, values: dict[str, _Value], problems: list[Problem]) -> None:
        self.used: set[str] = set()
        self.broken: set[KeyPath] = set()
        self.unsure = False
        """Whether a name was used that there is not, so that a parameter may be meant by it."""
        self._document = document
        self._values = values
        self._problems = problems

    def mapping(self, tree: MappingNode, loc: KeyPath) -> MappingNode:
        entries: list[MappingEntry] = []
        for entry in tree.entries:
            place = (*loc, entry.key)
            if _USE.search(entry.key):
                self._problems.append(
                    self._document.problem(place, "a key cannot be a parameter", "parameters stand in values")
                )
            entries.append(
                entry if place == (PARAMETERS_SECTION,) else replace(entry, value=self._tree(entry.value, place))
            )
        return replace(tree, entries=tuple(entries))

    def _tree(self, tree: DocumentNode, loc: KeyPath) -> DocumentNode:
        if isinstance(tree, MappingNode):
            return self.mapping(tree, loc)
        if isinstance(tree, SequenceNode):
            items = tuple(self._tree(item, (*loc, index)) for index, item in enumerate(tree.items))
            return replace(tree, items=items)
        if tree.text is None or "$" not in tree.text:
            return tree
        because: dict[str, None] = {}

        def put(match: re.Match[str]) -> str:
            if match["dollar"]:
                return "$"
            name = match["braced"] if match["braced"] is not None else match["plain"]
            value = self._values.get(name)
            if value is None:
                self._unknown(loc, name, match[0])
                return match[0]
            self.used.add(name)
            because[value.because] = None
            return value.text

        return replace(tree, text=_USE.sub(put, tree.text), because=", ".join(because))

    def _unknown(self, loc: KeyPath, name: str, written: str) -> None:
        self.broken.add(loc)
        self.unsure = True
        close = closest(name, self._values)
        hint = f"did you mean `${close}`?" if close else f"add it to `parameters`; a dollar sign is `$$`: `${written}`"
        self._problems.append(
            self._document.problem(loc, f"there is no parameter `{name}`", hint, at_value=True),
        )
