"""A scenario that repeats what was clicked.

It is the lab's own, with the clicks in its timeline.

The file's text stays as it was written, with its comments, wherever it can. Only what the clicks need is changed: the
timeline, the time limit, and the parameters that the command line had set.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from torrentnet.lab.errors import LabError, ScenarioError
from torrentnet.lab.scenario.kept_text import kept_text
from torrentnet.lab.scenario.language.models.scenario import DEFAULT_TIME_LIMIT
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.load import resolve_text
from torrentnet.lab.ui.clicking.clicks import yaml_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.ui.clicking.clicks import Click

MARGIN: Final = 5.0
"""Seconds between the last click and the time limit."""

_RELATIVE: Final = re.compile(r"\b(source|path):\s")


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """The scenario of a lab, as it was when the lab came up."""

    text: str
    path: Path
    """Of its file, which may have changed since."""
    time_limit: float = DEFAULT_TIME_LIMIT
    parameters: tuple[tuple[str, str], ...] = ()
    """Values of the scenario's parameters in this run."""


@dataclass(frozen=True, slots=True)
class _Edit:
    begin: int
    end: int
    text: str


def read_source(record: Path, path: Path, time_limit: float, parameters: Sequence[tuple[str, str]]) -> ScenarioSource:
    """Return the scenario of a record; ``path`` is its file. Raises LabError."""
    text = kept_text(record)
    if not text:
        raise LabError("the record does not have the scenario's text", hint="run the scenario from a file, not a pipe")
    return ScenarioSource(text, path, time_limit, tuple(parameters))


def save_scenario(source: ScenarioSource, clicks: Sequence[Click]) -> str:
    """Return the text of the scenario that repeats the clicks.

    Where the language cannot say what was done, the text says why in its first lines.
    """
    items = [click.item() for click in clicks]
    last = max((click.last_moment for click in clicks), default=0.0)
    limit = None if last + MARGIN <= source.time_limit else format_duration(float(math.ceil(last + MARGIN)))
    body = _edited(source, items, limit)
    if body is None:
        body = _written_anew(source, items, limit)
    count = f"{len(items)} click{'' if len(items) == 1 else 's'}"
    head = f"# Saved from the live page of {source.path.name}: what the scenario does by itself, and {count}.\n"
    notes = _problems(body, source.path)
    if _RELATIVE.search(body):
        notes.insert(0, f"Its files are named relative to {source.path.absolute().parent}: save it there.")
    return head + "".join(f"# {line}\n" for line in notes) + body


def _problems(body: str, path: Path) -> list[str]:
    try:
        resolve_text(body, path.name, path, {})
    except ScenarioError as error:
        lines = [line for problem in error.problems for line in str(problem).splitlines()]
        return ["It does not load as it is; move or remove what these lines name:", *lines]
    return []


# -- the text as it is -----------------------------------------------------------------------------


def _edited(source: ScenarioSource, items: Sequence[Mapping[str, Any]], limit: str | None) -> str | None:
    """Return the text with the changes; None where its form is an unusual one."""
    text = source.text if source.text.endswith("\n") else source.text + "\n"
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    parts = {key.value: (key, value) for key, value in root.value}
    edits = [*_value_edits(source, parts)]
    if "name" in parts:
        # The name must be that of the file, which nobody knows yet.
        key, value = parts["name"]
        edits.insert(0, _Edit(key.start_mark.index, text.index("\n", value.end_mark.index) + 1, ""))
    if limit is not None:
        if "time_limit" in parts:
            edits.append(_replacement(parts["time_limit"][1], limit))
        else:
            begin = root.value[0][0].start_mark.index
            # Behind the removal of a name at the same place.
            edits.append(_Edit(begin, begin, f"time_limit: {limit}\n"))
    if items:
        edit = _timeline_edit(text, root, items)
        if edit is None:
            return None
        edits.append(edit)
    for edit in sorted(edits, key=lambda one: one.begin, reverse=True):
        text = text[: edit.begin] + edit.text + text[edit.end :]
    return text


def _value_edits(source: ScenarioSource, parts: Mapping[str, tuple[yaml.Node, yaml.Node]]) -> Iterator[_Edit]:
    """Yield the changes of the parameters' values."""
    values = dict(source.parameters)
    for name, node in _entries(parts, "parameters"):
        if isinstance(node, yaml.ScalarNode) and values.get(name, node.value) != node.value:
            yield _replacement(node, values[name])


def _entries(parts: Mapping[str, tuple[yaml.Node, yaml.Node]], section: str) -> Iterable[tuple[str, yaml.Node]]:
    return _pairs(parts[section][1]) if section in parts else ()


def _pairs(node: yaml.Node) -> Iterable[tuple[str, yaml.Node]]:
    return [(key.value, value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else ()


def _replacement(node: yaml.Node, value: str) -> _Edit:
    return _Edit(node.start_mark.index, node.end_mark.index, _scalar(value))


def _scalar(value: str) -> str:
    return yaml.safe_dump([value], default_flow_style=True, width=1_000_000, allow_unicode=True).strip()[1:-1]


def _timeline_edit(text: str, root: yaml.MappingNode, items: Sequence[Mapping[str, Any]]) -> _Edit | None:
    lines = [yaml_line(item) for item in items]
    keys = [key for key, _ in root.value]
    found = next((index for index, key in enumerate(keys) if key.value == "timeline"), None)
    if found is None:
        return _Edit(len(text), len(text), "\ntimeline:\n" + _block(lines, 2))
    node = root.value[found][1]
    if not node.value:
        return _Edit(keys[found].start_mark.index, node.end_mark.index, "timeline:\n" + _block(lines, 2).rstrip("\n"))
    if not isinstance(node, yaml.SequenceNode):
        return None
    if node.flow_style:
        end = node.end_mark.index - 1
        return _Edit(end, end, "".join(f", {line}" for line in lines))
    end = keys[found + 1].start_mark.index if found + 1 < len(keys) else len(text)
    return _Edit(*(_end_of_block(text, end),) * 2, _block(lines, node.start_mark.column))


def _end_of_block(text: str, end: int) -> int:
    """Return where the last line before a key ends.

    Lines that are empty or comments do not count.
    """
    lines = text[:end].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return sum(map(len, lines))


def _block(lines: Iterable[str], column: int) -> str:
    indent = " " * column
    return f"{indent}# clicked on the live page\n" + "".join(f"{indent}- {line}\n" for line in lines)


# -- a text of its own -----------------------------------------------------------------------------


def _written_anew(source: ScenarioSource, items: Sequence[Mapping[str, Any]], limit: str | None) -> str:
    """Return the scenario without its comments: for a text of an unusual form."""
    data = yaml.load(source.text, Loader=yaml.BaseLoader)
    data.pop("name", None)
    values = dict(source.parameters)
    if isinstance(data.get("parameters"), dict):
        data["parameters"] = {name: values.get(name, value) for name, value in data["parameters"].items()}
    if limit is not None:
        data["time_limit"] = limit
    timeline = data.get("timeline")
    data["timeline"] = [*(timeline if isinstance(timeline, list) else []), *map(dict, items)]
    return yaml.safe_dump(data, sort_keys=False, width=120, allow_unicode=True)
