"""From the models to a plan.

What can be known only with all parts together is checked here: names that refer to nothing, times past the limit,
events that could not change anything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.lab.scenario.language.names import parse_scenario_name
from torrentnet.lab.scenario.plan import Plan
from torrentnet.lab.scenario.resolve.context import ResolveContext
from torrentnet.lab.scenario.resolve.expectations import resolve_expectations
from torrentnet.lab.scenario.resolve.links import resolve_links
from torrentnet.lab.scenario.resolve.nodes import resolve_files, resolve_nodes
from torrentnet.lab.scenario.resolve.programs import assign_torrents, check_timeline_programs
from torrentnet.lab.scenario.resolve.timeline import resolve_timeline
from torrentnet.lab.scenario.resolve.unread_items import check_unread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.draft import Draft


def resolve(draft: Draft, path: Path, problems: list[Problem], parameters: Mapping[str, str] | None = None) -> Plan:
    """Return the plan of a draft, and append to ``problems`` whatever is wrong with it."""
    scenario = draft.scenario
    limit = math.inf if ("time_limit",) in draft.aside else scenario.time_limit
    context = ResolveContext(draft, problems, limit)
    files = resolve_files(context, path.parent)
    resolve_nodes(context)
    check_unread(context)
    torrents = assign_torrents(context)
    links = resolve_links(context)
    events = resolve_timeline(context)
    check_timeline_programs(context)
    return Plan(
        name=_name(context, path),
        about=scenario.about,
        source=path,
        seed=scenario.seed,
        time_limit=scenario.time_limit,
        files=files,
        nodes=tuple(context.nodes.values()),
        events=events,
        expectations=resolve_expectations(context, events),
        links=links,
        parameters=tuple((parameters or {}).items()),
        torrents=torrents,
    )


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
