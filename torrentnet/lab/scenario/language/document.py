"""A YAML file as a tree, with the line and column of every key and value.

Tested by tests/unit/lab/scenario/language/test_yaml_parser.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from torrentnet.lab.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file; both numbers count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value, as it was written."""

    mark: Mark
    text: str | None
    """None where nothing (or ``null``) was written."""
    weight: int = 1
    origin: str = ""
    """Which parameters the text comes from, where it is not the text of the file."""


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A YAML sequence."""

    mark: Mark
    items: tuple[DocumentNode, ...]
    weight: int
    """Number of keys and values, this one included."""


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """A key with its value."""

    key: str
    mark: Mark
    """Of the key."""
    value: DocumentNode


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A YAML mapping with unique keys."""

    mark: Mark
    entries: tuple[MappingEntry, ...]
    weight: int
    """Number of keys and values, this one included."""
    _by_key: dict[str, MappingEntry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {entry.key: entry for entry in self.entries})

    def get(self, key: str) -> MappingEntry | None:
        """Return the entry with that key, or None."""
        return self._by_key.get(key)

    def keys(self) -> tuple[str, ...]:
        """Return the keys in the order of the file."""
        return tuple(entry.key for entry in self.entries)


DocumentNode: TypeAlias = ScalarNode | SequenceNode | MappingNode
KeyPath: TypeAlias = tuple[str | int, ...]
"""A place in the document: ``("timeline", 2, "kill")``."""


def format_path(loc: KeyPath) -> str:
    """Return ``timeline[2].kill`` for ``("timeline", 2, "kill")``."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file."""

    file: str
    """The file's name in messages."""
    root: MappingNode
    incomplete: frozenset[KeyPath] = frozenset()
    """Mappings with a key that was not read; it may be a key that seems to be missing."""
    unresolved: frozenset[KeyPath] = frozenset()
    """Values that use an unknown parameter, which has been reported."""

    def find(self, loc: KeyPath) -> tuple[Mark, DocumentNode | None]:
        """Return the place and the value at the path ``loc``.

        The place is that of the key in a mapping. Where there is no such value, return the place of the last value on
        the way to it, and None.
        """
        mark: Mark = self.root.mark
        node: DocumentNode = self.root
        for step in loc:
            if isinstance(node, MappingNode) and isinstance(step, str) and (entry := node.get(step)):
                mark, node = entry.mark, entry.value
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                mark = node.mark
            else:
                return mark, None
        return mark, node

    def problem(self, loc: KeyPath, text: str, hint: str = "", *, at_value: bool = False) -> Problem:
        """Return a problem at the place of ``loc``.

        With ``at_value`` its column is the value's, not the key's.
        """
        mark, node = self.find(loc)
        if at_value and node is not None:
            mark = node.mark
        if isinstance(node, ScalarNode) and node.origin:
            hint = f"{hint}; {node.origin}" if hint else node.origin
        return Problem(self.file, mark.line, mark.column, format_path(loc), text, hint)

    def where(self, loc: KeyPath) -> str:
        """Return ``file:line:column`` of the value at ``loc``."""
        mark, _ = self.find(loc)
        return f"{self.file}:{mark.line}:{mark.column}"

    def is_unresolved(self, loc: KeyPath) -> bool:
        """Return whether the value at ``loc`` uses an unknown parameter.

        The value uses it in itself or in one of its items.
        """
        return any(unresolved[: len(loc)] == loc for unresolved in self.unresolved)


def to_plain_data(node: DocumentNode) -> Any:
    """Return the tree as dictionaries, lists, texts and None."""
    if isinstance(node, MappingNode):
        return {entry.key: to_plain_data(entry.value) for entry in node.entries}
    if isinstance(node, SequenceNode):
        return [to_plain_data(item) for item in node.items]
    return node.text


def empty_values(node: DocumentNode, loc: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the places of keys and items without a value."""
    if isinstance(node, MappingNode):
        for entry in node.entries:
            yield from empty_values(entry.value, (*loc, entry.key))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            yield from empty_values(item, (*loc, index))
    elif node.text is None:
        yield loc
