"""Reading YAML into a :class:`~torrentnet.lab.scenario.language.document.Document`.

The reader takes the part of YAML that people write by hand: mappings, lists, scalars, comments, anchors. Every scalar
stays the text that was written, so that ``1:30``, ``yes``, ``0x10`` or ``1e3`` never turn into something else on
the way; the models give the texts their types. What could surprise is refused with its place: duplicate keys,
tags, merge keys, several documents. Everything is bounded: bytes, depth, and the number of values after
anchors have been followed, so that a file of a few lines cannot grow to fill the memory.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import yaml

from torrentnet.lab.errors import Problem, ScenarioError
from torrentnet.lab.scenario.language.document import (
    Document,
    DocumentNode,
    KeyPath,
    MappingEntry,
    MappingNode,
    Mark,
    ScalarNode,
    SequenceNode,
    format_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_VALUES = 20_000
"""Keys and values in the whole document, each use of an alias counted in full."""

_LONG_ESCAPE = re.compile(r"\\U([0-9A-Fa-f]{8})")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset({"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def read_document(path: Path, shown_as: str = "") -> tuple[Document, list[Problem]]:
    """Read a scenario file.

    Args:
        path: the file.
        shown_as: its name in messages; as given in ``path`` by default.

    Returns:
        The document, and what is wrong with it although it could be read (duplicate keys, tags).

    Raises:
        ScenarioError: it cannot be read at all: not there, not text, empty, too large, no YAML, no mapping.
    """
    file = shown_as or str(path)
    return parse_document(_read_text(path, file), file)


def parse_document(text: str, file: str) -> tuple[Document, list[Problem]]:
    """Like :func:`read_document`, of a text that has been read already."""
    builder = _TreeBuilder(file)
    try:
        root = builder.build(text)
    except yaml.reader.ReaderError as error:
        raise _invalid_character(file, text, error) from None
    except yaml.MarkedYAMLError as error:
        raise _invalid_yaml(file, text, error) from None
    except (ValueError, OverflowError):
        # PyYAML hands the number of an escape to chr() as it is.
        raise _invalid_escape(file, text) from None
    if root is None or (isinstance(root, ScalarNode) and root.text is None):
        raise ScenarioError([Problem(file, 1, 1, "", "the file is empty", "docs/scenarios.md shows a whole scenario")])
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else "a single value"
        problem = Problem(
            file,
            root.mark.line,
            root.mark.column,
            "",
            f"a scenario is a mapping, this is {kind}",
            "begin with `nodes:`",
        )
        raise ScenarioError([*builder.problems, problem])
    return Document(file, root, frozenset(builder.dropped)), builder.problems


def _read_text(path: Path, file: str) -> str:
    def refuse(text: str, hint: str = "", line: int = 1, column: int = 1) -> ScenarioError:
        return ScenarioError([Problem(file, line, column, "", text, hint)])

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file") from None
    except IsADirectoryError:
        raise refuse("this is a directory, not a scenario file") from None
    except OSError as error:
        raise refuse(f"the file cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise refuse(
            f"the file is larger than {MAX_BYTES // 1024} KiB", "a scenario is a page of text; is this the right file?"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise refuse(
            f"the file is not UTF-8: byte 0x{data[error.start]:02x} is no text",
            "save it as UTF-8",
            *_line_and_column(before),
        ) from None


def _invalid_character(file: str, text: str, error: yaml.reader.ReaderError) -> ScenarioError:
    before = text[: error.position]
    code = error.character if isinstance(error.character, int) else ord(error.character)
    problem = Problem(
        file,
        *_line_and_column(before),
        "",
        f"the character U+{code:04X} may not stand in YAML",
        "take it out, or write it in double quotes with an escape such as `\\u0007`",
    )
    return ScenarioError([problem])


def _invalid_escape(file: str, text: str) -> ScenarioError:
    escape = next((found for found in _LONG_ESCAPE.finditer(text) if int(found[1], 16) > sys.maxunicode), None)
    position = escape.start() if escape else 0
    shown = f"the escape `{escape[0]}`" if escape else "an escape"
    problem = Problem(file, *_line_and_column(text[:position]), "", f"{shown} is no character")
    return ScenarioError([problem])


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _invalid_yaml(file: str, text: str, error: yaml.MarkedYAMLError) -> ScenarioError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    hint = ""
    if error.problem == "mapping values are not allowed here":
        hint = 'a text that holds a colon and a blank needs quotes: `about: "three seeders: one dies"`'
    elif mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        hint = "indent with blanks, not with tabs"
    elif mark and mark.line < len(lines) and "${" in lines[mark.line]:
        hint = "inside of `{}` and `[]` write a parameter without braces, `$name`, or put it in quotes"
    elif error.context:
        hint = error.context + (f" of line {error.context_mark.line + 1}" if error.context_mark else "")
    return ScenarioError([Problem(file, line, column, "", f"not YAML: {error.problem}", hint)])


def _mark(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)


class _TreeBuilder:
    """Makes the tree from the parser's events, counting as it goes."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self.dropped: set[KeyPath] = set()
        self._file = file
        self._anchors: dict[str, DocumentNode] = {}
        self._values = 0

    def build(self, text: str) -> DocumentNode | None:
        root: DocumentNode | None = None
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(event, "a second document begins here", "one file is one scenario")
            elif isinstance(event, yaml.NodeEvent):
                root = self._tree(event, events, 1, ())
        return root

    def _tree(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int, loc: KeyPath) -> DocumentNode:
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"values are nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            known = self._anchors.get(str(event.anchor))
            if known is None:
                raise self._refuse(event, f"`*{event.anchor}` refers to an anchor that is not set before it")
            self._count(event, known.weight)
            return known
        self._count(event, 1)
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _PLAIN_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self._note(event, loc, f"the tag `{shown}` has no meaning in a scenario", "leave it out")
        tree: DocumentNode
        if isinstance(event, yaml.MappingStartEvent):
            tree = self._mapping(event, events, depth, loc)
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = self._listing(event, events, depth, loc)
        else:
            assert isinstance(event, yaml.ScalarEvent)
            nothing = event.style is None and event.value in _NULLS
            tree = ScalarNode(_mark(event), None if nothing else self._whole(event, event.value, loc))
        if anchor := getattr(event, "anchor", None):
            self._anchors[str(anchor)] = tree
        return tree

    def _whole(self, event: yaml.Event, text: str, loc: KeyPath) -> str:
        """The text with escaped pairs of surrogates joined, as JSON writes them; half a pair is no character."""
        if text.isascii():
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._note(event, loc, "the text holds half a character", "write it as itself, not as an escape")
            return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else char for char in text)

    def _listing(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int, loc: KeyPath) -> SequenceNode:
        items: list[DocumentNode] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._tree(event, events, depth + 1, (*loc, len(items))))
        return SequenceNode(_mark(start), tuple(items), 1 + sum(item.weight for item in items))

    def _mapping(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int, loc: KeyPath) -> MappingNode:
        entries: dict[str, MappingEntry] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._tree(event, events, depth + 1, loc)
            name = key.text if isinstance(key, ScalarNode) else None
            if isinstance(key, ScalarNode) and key.text is None:
                name = event.value if isinstance(event, yaml.ScalarEvent) else None
            value = self._tree(next(events), events, depth + 1, (*loc, name or "?"))
            mark = _mark(event)
            if not name:
                self.dropped.add(loc)
                self._note(event, loc, "a key must be a word", "write `key: value`")
            elif name == "<<":
                self.dropped.add(loc)
                self._note(
                    event,
                    loc,
                    "merge keys (`<<`) are not supported",
                    "repeat the keys, or use an alias for a whole value",
                )
            elif name in entries:
                first = entries[name].mark
                self._note(
                    event,
                    (*loc, name),
                    f"the key `{name}` stands here twice",
                    f"it was given in line {first.line} already",
                )
            else:
                entries[name] = MappingEntry(name, mark, value)
        found = tuple(entries.values())
        return MappingNode(_mark(start), found, 1 + sum(1 + entry.value.weight for entry in found))

    def _count(self, event: yaml.Event, weight: int) -> None:
        self._values += weight
        if self._values > MAX_VALUES:
            raise self._refuse(event, f"the document holds more than {MAX_VALUES} values, aliases included")

    def _note(self, event: yaml.Event, loc: KeyPath, text: str, hint: str) -> None:
        mark = _mark(event)
        self.problems.append(Problem(self._file, mark.line, mark.column, format_path(loc), text, hint))

    def _refuse(self, event: yaml.Event, text: str, hint: str = "") -> ScenarioError:
        mark = _mark(event)
        return ScenarioError([*self.problems, Problem(self._file, mark.line, mark.column, "", text, hint)])
