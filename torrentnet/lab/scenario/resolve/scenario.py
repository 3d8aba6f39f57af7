"""Resolution of the models to a plan.

The resolution checks what needs several parts of a scenario: names that refer to nothing, also in items that could not
be parsed, times past the limit, and events that cannot change anything.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.document import MappingNode, ScalarNode, SequenceNode, to_plain_data
from torrentnet.lab.scenario.language.scalars import InvalidValueError, parse_file_name, parse_scenario_name
from torrentnet.lab.scenario.language.selectors import parse_selector
from torrentnet.lab.scenario.plan.plan import Plan
from torrentnet.lab.scenario.programs.given import GivenPrograms
from torrentnet.lab.scenario.resolve.context import ResolveContext
from torrentnet.lab.scenario.resolve.expectations import resolve_expectations
from torrentnet.lab.scenario.resolve.foreign import check_programs_used, resolve_programs, uplinks
from torrentnet.lab.scenario.resolve.links import resolve_links
from torrentnet.lab.scenario.resolve.nodes import resolve_files, resolve_nodes
from torrentnet.lab.scenario.resolve.programs import assign_torrents, check_timeline_programs
from torrentnet.lab.scenario.resolve.timeline import resolve_timeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.draft import Draft

_SELECTORS: Final = {
    "timeline": ("kill", "stop", "pause", "restart", "start", "isolate", "node"),
    "expect": ("node", "forgets"),
    "links": ("from", "to"),
}
_SIDES: Final = {"timeline": ("partition",), "links": ("between",)}
_DIRECTIONS: Final = {"timeline": ("partition", "isolate", "impair")}
_FILES: Final = ("share", "get")


def check_unread(context: ResolveContext) -> None:
    """Record names that refer to nothing in items that could not be parsed."""
    for loc in sorted(context.draft.aside, key=str):
        _, item = context.draft.document.find(loc)
        if len(loc) == 2 and isinstance(item, MappingNode):
            _check_item(context, str(loc[0]), loc, item)


def _check_item(context: ResolveContext, section: str, loc: KeyPath, item: MappingNode) -> None:
    for entry in item.entries:
        place: KeyPath = (*loc, entry.key)
        if isinstance(entry.value, MappingNode):
            if entry.key in _DIRECTIONS.get(section, ()):
                _check_item(context, "links", place, entry.value)
        elif entry.key in _SELECTORS.get(section, ()):
            _check_nodes(context, place, to_plain_data(entry.value))
        elif entry.key in _SIDES.get(section, ()):
            sides = to_plain_data(entry.value)
            if isinstance(sides, list):
                for index, side in enumerate(sides):
                    _check_nodes(context, (*place, index), side)
            else:
                _check_nodes(context, place, sides)
        elif section == "nodes" and entry.key in _FILES and isinstance(entry.value, ScalarNode):
            text = entry.value.text
            with contextlib.suppress(InvalidValueError):  # which has been reported with the item
                if text and not context.draft.document.is_unresolved(place):
                    context.check_file(place, parse_file_name(text))


def _check_nodes(context: ResolveContext, loc: KeyPath, written: object) -> None:
    if context.draft.document.is_unresolved(loc):
        return  # reported with the parameters
    try:
        selector = parse_selector(written)
    except InvalidValueError:
        return  # reported with the item
    context.select(selector, loc)


def resolve(
    draft: Draft,
    path: Path,
    problems: list[Problem],
    parameters: Mapping[str, str] | None = None,
    given: GivenPrograms | None = None,
) -> Plan:
    """Return the plan of a draft, and append all that is wrong to ``problems``.

    Raises UsageError where a program of the command line cannot be used.
    """
    scenario = draft.scenario
    limit = math.inf if ("time_limit",) in draft.aside else scenario.time_limit
    context = ResolveContext(draft, problems, limit, for_any_program=given is not None and given.for_any)
    files = resolve_files(context, path.parent)
    resolve_programs(context, path.parent, given or GivenPrograms())
    resolve_nodes(context, files)
    check_programs_used(context, given or GivenPrograms())
    check_unread(context)
    torrents = assign_torrents(context)
    links = (*uplinks(context), *resolve_links(context))
    events = resolve_timeline(context)
    check_timeline_programs(context)
    expectations, left_out = resolve_expectations(context, events)
    return Plan(
        name=_name(context, path),
        about=scenario.about,
        source=path,
        seed=scenario.seed,
        time_limit=scenario.time_limit,
        files=files,
        nodes=tuple(context.nodes.values()),
        events=events,
        expectations=expectations,
        links=links,
        parameters=tuple((parameters or {}).items()),
        torrents=torrents,
        judged=_is_judged(draft) and not (left_out and not expectations),
        left_out=left_out,
    )


def _is_judged(draft: Draft) -> bool:
    """Return whether there are expectations, or the file says that there are none."""
    entry = draft.document.root.get("expect")
    return entry is not None and not (isinstance(entry.value, SequenceNode) and not entry.value.items)


def _name(context: ResolveContext, path: Path) -> str:
    given = context.draft.scenario.name
    if given is not None and given != path.stem:
        context.note(
            ("name",),
            f"the name `{given}` differs from the file's, `{path.stem}`",
            f"write `name: {path.stem}`, or rename the file to {given}.yaml",
        )
    elif given is None and ("name",) not in context.draft.aside:
        try:
            parse_scenario_name(path.stem)
        except InvalidValueError as error:
            context.note((), error.text, "rename the file, whose name the scenario has; " + error.hint)
    return path.stem
