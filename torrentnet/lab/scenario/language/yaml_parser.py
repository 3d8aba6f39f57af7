"""Parser of YAML that keeps the line and column of every value.

It builds a :class:`~torrentnet.lab.scenario.language.document.Document`.

The parser accepts the part of YAML that people write by hand: mappings, sequences, scalars, comments, anchors. Every
scalar stays the text that was written, so that ``1:30``, ``yes``, ``0x10`` and ``1e3`` never become something else; the
models parse the texts. What could surprise is an error with its place: duplicate keys, tags, merge keys, several
documents. Bytes, depth, and the number of values, each use of an anchor included, are limited, so that a file of a few
lines cannot fill the memory.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from typing import TYPE_CHECKING, Final

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
from torrentnet.lab.scenario.language.excerpt import split_lines
from torrentnet.lab.scenario.language.syntax_errors import explain_syntax_error, missing_space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES: Final = 256 * 1024
PIPE_PATIENCE: Final = 10.0
"""Seconds for which a pipe (``<(command)``, a FIFO) may be silent until its end."""
MAX_DEPTH: Final = 24
MAX_VALUES: Final = 20_000
"""Keys and values in the whole document, each use of an alias counted in full."""

_LONG_ESCAPE: Final = re.compile(r"\\U([0-9A-Fa-f]{8})")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def parse_document(text: str, file: str) -> tuple[Document, list[Problem]]:
    """Parse the text of a scenario file; ``file`` is its name in messages.

    Returns the document, and problems that do not prevent parsing (duplicate keys, tags). Raises ScenarioError where
    there is no document: empty, not YAML, not a mapping.
    """
    builder = _TreeBuilder(file)
    try:
        root = builder.build(text)
    except yaml.reader.ReaderError as error:
        raise _invalid_character(file, text, error) from None
    except yaml.MarkedYAMLError as error:
        raise _invalid_yaml(file, text, error) from None
    except (ValueError, OverflowError):
        # PyYAML passes the number of an escape to chr() unchecked.
        raise _invalid_escape(file, text) from None
    if root is None or (isinstance(root, ScalarNode) and root.text is None):
        raise ScenarioError([Problem(file, 1, 1, "", "the file is empty", "docs/scenarios.md shows a whole scenario")])
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else "a single value"
        text = f"expected a mapping, found {kind}"
        problem = Problem(file, root.mark.line, root.mark.column, "", text, "begin with `nodes:`")
        raise ScenarioError([*builder.problems, problem])
    return Document(file, root, frozenset(builder.incomplete)), builder.problems


def read_text(path: Path, file: str) -> str:
    """Return the text of a scenario file; ``file`` is its name in messages.

    Raises ScenarioError where there is none: no such file, not text, too large.
    """

    def refuse(text: str, hint: str = "", line: int = 1, column: int = 1) -> ScenarioError:
        return ScenarioError([Problem(file, line, column, "", text, hint)])

    try:
        data = _read_bytes(path)
    except TimeoutError:
        raise refuse(
            f"nothing was written to this pipe for {PIPE_PATIENCE:g} s, and it was not closed",
            "start the program that writes to it, or name a file",
        ) from None
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
        text = f"the file is not UTF-8: byte 0x{data[error.start]:02x} is invalid"
        raise refuse(text, "save it as UTF-8", *_line_and_column(before)) from None


def _read_bytes(path: Path) -> bytes:
    """Return a file's first MAX_BYTES + 1 bytes.

    Raises OSError; TimeoutError where the file is a pipe or a device, not a terminal, that has nothing to read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError
        patience = None if stat.S_ISREG(kind) or os.isatty(descriptor) else PIPE_PATIENCE
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        found, size = [], MAX_BYTES + 1
        while size:
            if not poller.poll(None if patience is None else patience * 1000):
                raise TimeoutError
            try:
                part = os.read(descriptor, size)
            except BlockingIOError:
                continue
            if not part:
                break
            found.append(part)
            size -= len(part)
        return b"".join(found)
    finally:
        os.close(descriptor)


def _invalid_character(file: str, text: str, error: yaml.reader.ReaderError) -> ScenarioError:
    before = text[: error.position]
    code = error.character if isinstance(error.character, int) else ord(error.character)
    hint = "remove it, or write it in double quotes with an escape such as `\\u0007`"
    text = f"the character U+{code:04X} is not allowed in YAML"
    return ScenarioError([Problem(file, *_line_and_column(before), "", text, hint)])


def _invalid_escape(file: str, text: str) -> ScenarioError:
    escape = next((found for found in _LONG_ESCAPE.finditer(text) if int(found[1], 16) > sys.maxunicode), None)
    position = escape.start() if escape else 0
    shown = f"the escape `{escape[0]}`" if escape else "an escape"
    return ScenarioError([Problem(file, *_line_and_column(text[:position]), "", f"{shown} is not a character")])


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _invalid_yaml(file: str, text: str, error: yaml.MarkedYAMLError) -> ScenarioError:
    found = explain_syntax_error(error, split_lines(text))
    return ScenarioError([Problem(file, found.line + 1, found.column + 1, "", found.text, found.hint)])


def _mark(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)


class _TreeBuilder:
    """Builds the tree from PyYAML's events, and counts the values."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self.incomplete: set[KeyPath] = set()
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
                    raise self._refuse(event, "a second document begins here", "put each scenario into its own file")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, 1, ())
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int, loc: KeyPath) -> DocumentNode:
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
            self._note(event, loc, f"the tag `{shown}` has no meaning in a scenario", "remove it")
        node: DocumentNode
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, events, depth, loc)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, depth, loc)
        else:
            assert isinstance(event, yaml.ScalarEvent)
            null = event.style is None and event.value in _NULLS
            node = ScalarNode(_mark(event), None if null else self._join_surrogates(event, event.value, loc))
        if anchor := getattr(event, "anchor", None):
            self._anchors[str(anchor)] = node
        return node

    def _join_surrogates(self, event: yaml.Event, text: str, loc: KeyPath) -> str:
        """Return the text with its escaped surrogate pairs joined.

        JSON writes some characters as such a pair. Half a pair is an error.
        """
        if text.isascii():
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._note(event, loc, "the text contains half a character", "write the character itself, not an escape")
            return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else char for char in text)

    def _sequence(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int, loc: KeyPath) -> SequenceNode:
        items: list[DocumentNode] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, depth + 1, (*loc, len(items))))
        return SequenceNode(_mark(start), tuple(items), 1 + sum(item.weight for item in items))

    def _mapping(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int, loc: KeyPath) -> MappingNode:
        entries: dict[str, MappingEntry] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, events, depth + 1, loc)
            name = key.text if isinstance(key, ScalarNode) else None
            if isinstance(key, ScalarNode) and key.text is None:
                name = event.value if isinstance(event, yaml.ScalarEvent) else None
            value = self._node(next(events), events, depth + 1, (*loc, name or "?"))
            if name and isinstance(value, ScalarNode) and value.text is None and (parts := missing_space(name)):
                # `{upload:20mbit}` is a key without a value.
                hint = f"write `{parts[0]}: {parts[1]}`"
                self._note(event, (*loc, parts[0]), "there is no space after the colon", hint, len(parts[0]))
                name, value = parts[0], ScalarNode(value.mark, parts[1])
            if not name:
                self.incomplete.add(loc)
                self._note(event, loc, "a key must be a word", "write `key: value`")
            elif name == "<<":
                self.incomplete.add(loc)
                hint = "repeat the keys, or use an alias for a whole value"
                self._note(event, loc, "merge keys (`<<`) are not supported", hint)
            elif name in entries:
                hint = f"line {entries[name].mark.line} has it already; rename one of them, or remove it"
                self._note(event, (*loc, name), f"the key `{name}` is a duplicate", hint)
            else:
                entries[name] = MappingEntry(name, _mark(event), value)
        found = tuple(entries.values())
        return MappingNode(_mark(start), found, 1 + sum(1 + entry.value.weight for entry in found))

    def _count(self, event: yaml.Event, weight: int) -> None:
        self._values += weight
        if self._values > MAX_VALUES:
            raise self._refuse(event, f"the document has more than {MAX_VALUES} values, aliases included")

    def _note(self, event: yaml.Event, loc: KeyPath, text: str, hint: str, shift: int = 0) -> None:
        mark = _mark(event)
        self.problems.append(Problem(self._file, mark.line, mark.column + shift, format_path(loc), text, hint))

    def _refuse(self, event: yaml.Event, text: str, hint: str = "") -> ScenarioError:
        mark = _mark(event)
        return ScenarioError([*self.problems, Problem(self._file, mark.line, mark.column, "", text, hint)])
