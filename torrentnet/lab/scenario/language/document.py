"""A YAML file as a tree in which every key and every value knows its line and column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torrentnet.lab.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value, as it was written."""

    mark: Mark
    text: str | None
    """None where nothing (or ``null``) was written."""
    weight: int = 1
    because: str = ""
    """Where the text is not what was written: which parameter made it so."""


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A YAML sequence."""

    mark: Mark
    items: tuple[DocumentNode, ...]
    weight: int


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """A key and what stands behind it."""

    key: str
    mark: Mark
    """Of the key."""
    value: DocumentNode


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A YAML mapping; keys are unique."""

    mark: Mark
    entries: tuple[MappingEntry, ...]
    weight: int

    def get(self, key: str) -> MappingEntry | None:
        """The entry of that key, or None."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def keys(self) -> tuple[str, ...]:
        """The keys in the order of the file."""
        return tuple(entry.key for entry in self.entries)


DocumentNode = ScalarNode | SequenceNode | MappingNode
KeyPathStep = str | int
KeyPath = tuple[KeyPathStep, ...]
"""Where in the document: ``("timeline", 2, "kill")``."""


def format_path(loc: KeyPath) -> str:
    """``("timeline", 2, "kill")`` as a person reads it: ``timeline[2].kill``."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """A file that could be read, with the name under which the person knows it."""

    file: str
    root: MappingNode
    dropped: frozenset[KeyPath] = frozenset()
    """The mappings in which a key had to be left out; what seems to be missing there may have been in it."""
    broken: frozenset[KeyPath] = frozenset()
    """The values of which it has been said already that nobody knows what they are."""

    def find(self, loc: KeyPath) -> tuple[Mark, DocumentNode | None]:
        """The place of what ``loc`` names: of the key in a mapping, of the item in a list.

        Where the document does not go that deep, the place of the last thing that is there, and None.
        """
        mark: Mark = self.root.mark
        tree: DocumentNode = self.root
        for step in loc:
            if isinstance(tree, MappingNode) and isinstance(step, str) and (entry := tree.get(step)):
                mark, tree = entry.mark, entry.value
            elif isinstance(tree, SequenceNode) and isinstance(step, int) and step < len(tree.items):
                tree = tree.items[step]
                mark = tree.mark
            else:
                return mark, None
        return mark, tree

    def problem(self, loc: KeyPath, text: str, hint: str = "", *, at_value: bool = False) -> Problem:
        """A problem at that place; ``at_value`` points behind the key, at the value that is wrong."""
        mark, tree = self.find(loc)
        if at_value and tree is not None:
            mark = tree.mark
        if isinstance(tree, ScalarNode) and tree.because:
            hint = f"{hint}; {tree.because}" if hint else tree.because
        return Problem(self.file, mark.line, mark.column, format_path(loc), text, hint)

    def where(self, loc: KeyPath) -> str:
        """``file:line:column`` of what ``loc`` names."""
        mark, _ = self.find(loc)
        return f"{self.file}:{mark.line}:{mark.column}"


def to_plain_data(tree: DocumentNode) -> Any:
    """The tree as dictionaries, lists, texts and None, for the models."""
    if isinstance(tree, MappingNode):
        return {entry.key: to_plain_data(entry.value) for entry in tree.entries}
    if isinstance(tree, SequenceNode):
        return [to_plain_data(item) for item in tree.items]
    return tree.text


def empty_values(tree: DocumentNode, loc: KeyPath = ()) -> Iterator[KeyPath]:
    """Where a key or a dash stands with nothing behind it."""
    if isinstance(tree, MappingNode):
        for entry in tree.entries:
            yield from empty_values(entry.value, (*loc, entry.key))
    elif isinstance(tree, SequenceNode):
        for index, item in enumerate(tree.items):
            yield from empty_values(item, (*loc, index))
    elif tree.text is None:
        yield loc
