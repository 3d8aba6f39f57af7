"""From the models to a plan: files and nodes first, then what refers to them.

Everything that can only be known once all parts are there is checked here: names that refer to nothing, times
that are past the limit, events that could not change anything.
"""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.models.nodes import GetModel, PeerModel, ShareModel, TrackerModel
from torrentnet.lab.scenario.language.models.scenario import SourceFileModel
from torrentnet.lab.scenario.language.models.values import MAX_COUNT
from torrentnet.lab.scenario.language.names import parse_file_name, parse_node_name, parse_scenario_name
from torrentnet.lab.scenario.language.units import UnitError, format_duration, format_size, show_duration
from torrentnet.lab.scenario.plan import FilePlan, NodePlan, NodeProgram, Plan, Role
from torrentnet.lab.scenario.resolve.context import ResolveContext
from torrentnet.lab.scenario.resolve.expectations import resolve_expectations
from torrentnet.lab.scenario.resolve.links import resolve_links
from torrentnet.lab.scenario.resolve.programs import (
    assign_torrents,
    check_program,
    check_timeline_programs,
    foreign_arguments,
    program_of,
)
from torrentnet.lab.scenario.resolve.selection import NodeDirectory
from torrentnet.lab.scenario.resolve.timeline import resolve_timeline
from torrentnet.lab.scenario.resolve.unread_items import check_unread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.draft import Draft
    from torrentnet.lab.scenario.language.models.nodes import NodeModel

MAX_NODES = 500
"""Nodes of one lab, the tracker included."""
TRACKER = "tracker"
"""The tracker's name: what every lab has is in docker-compose.yml under that name."""


def derive_seed(seed: int, name: str) -> int:
    """A node's own seed (32 bits), the same on every machine and in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4])


def resolve_files(context: ResolveContext, folder: Path) -> tuple[FilePlan, ...]:
    """The files, with sources found relative to the scenario's folder."""
    plans: list[FilePlan] = []
    for name, model in context.draft.scenario.files.items():
        try:
            parse_file_name(name)
        except UnitError as error:
            context.note(("files", name), error.text, error.hint, at_value=False)
            continue
        if model.as_ is not None:
            _check_as(context, name, model.as_)
        made = generated_path(context, name)
        if isinstance(model, SourceFileModel):
            plans.append(FilePlan(made, None, _source(context, ("files", name, "source"), folder, model.source)))
        else:
            plans.append(FilePlan(made, model.size, None))
    return tuple(plans)


def _check_as(context: ResolveContext, name: str, other: str) -> None:
    loc: KeyPath = ("files", name, "as")
    context.check_file(loc, other)
    if other == name:
        context.note(loc, f"`{name}` has that name already", "take `as` out, or name another file")
    elif (model := context.draft.scenario.files.get(other)) is not None and model.as_ is not None:
        context.note(loc, f"`{other}` goes out under the name `{model.as_}` itself", f"write `as: {model.as_}`")


def generated_path(context: ResolveContext, name: str) -> str:
    """Where a file is made: under its own name, or in a folder of its own where it goes out under another."""
    model = context.draft.scenario.files.get(name)
    return name if model is None or model.as_ is None else f"{name}/{model.as_}"


def _source(context: ResolveContext, loc: KeyPath, folder: Path, text: str) -> Path:
    path = Path(text)
    if path.is_absolute():
        context.note(
            loc,
            f"`{text}` is an absolute path",
            "write it relative to the scenario file, so that it works elsewhere too",
        )
        return path
    path = Path(os.path.normpath((folder / path).absolute()))
    if not path.exists():
        context.note(loc, f"there is no file `{text}`", "the path is relative to the scenario file")
    elif not path.is_file():
        context.note(loc, f"`{text}` is no ordinary file")
    elif not os.access(path, os.R_OK):
        context.note(loc, f"`{text}` cannot be read")
    return path


def resolve_nodes(context: ResolveContext) -> None:
    """Fill in the context's nodes and directory."""
    groups: dict[str, tuple[str, ...]] = {}
    for group, model in context.draft.scenario.nodes.items():
        loc: KeyPath = ("nodes", group)
        try:
            parse_node_name(group)
        except UnitError as error:
            context.note(loc, error.text, error.hint, at_value=False)
        _check_role(context, loc, group, model)
        check_program(context, loc, model)
        names: list[str] = []
        for plan in _nodes_of(context, loc, group, model):
            if plan.name in context.nodes:
                other = context.nodes[plan.name].group
                context.note(
                    loc, f"the name `{plan.name}` is taken by the group `{other}`", "rename one of them", at_value=False
                )
                break
            context.nodes[plan.name] = plan
            names.append(plan.name)
        groups[group] = tuple(names)
    unread = context.draft.unread("nodes")
    if TRACKER not in groups and TRACKER not in unread and ("nodes",) not in context.draft.aside:
        context.note(("nodes",), "there is no tracker", "add `tracker: {tracker: {}}`", at_value=False)
    if len(context.nodes) > MAX_NODES:
        context.note(
            ("nodes",), f"{len(context.nodes)} nodes are more than the {MAX_NODES} that a lab may have", at_value=False
        )
    context.directory = NodeDirectory(groups, unread)


def _check_role(context: ResolveContext, loc: KeyPath, group: str, model: NodeModel) -> None:
    if isinstance(model, TrackerModel):
        if group != TRACKER:
            context.note(
                loc, "the tracker has to be called `tracker`", "a lab has one tracker, under that name", at_value=False
            )
        if model.tracker.timeout <= model.tracker.keepalive:
            explicit = "timeout" if "timeout" in model.tracker.model_fields_set else "keepalive"
            context.note(
                (*loc, "tracker", explicit),
                f"the time-out {show_duration(model.tracker.timeout)} is not longer than the keep-alive "
                f"{show_duration(model.tracker.keepalive)}: every peer would be forgotten",
                f"three times the keep-alive is usual: `timeout: {format_duration(3 * model.tracker.keepalive)}`",
            )
        return
    if group == TRACKER:
        context.note(
            loc,
            "a peer cannot be called `tracker`",
            "rename the group; `tracker: {tracker: {}}` is the tracker",
            at_value=False,
        )
    key, name = ("share", model.share) if isinstance(model, ShareModel) else ("get", model.get)
    context.check_file((*loc, key), name)
    file = context.draft.scenario.files.get(name)
    if key == "get" and file is not None and file.as_ is not None:
        context.note((*loc, key), f"`{name}` goes out under the name `{file.as_}`", f"write `get: {file.as_}`")


def _nodes_of(context: ResolveContext, loc: KeyPath, group: str, model: NodeModel) -> list[NodePlan]:
    if isinstance(model, TrackerModel):
        own = _arguments(context, group, model)
        return [NodePlan(group, group, Role.TRACKER, None, 0.0, own, program=program_of(model))]
    role, file = (
        (Role.SHARE, generated_path(context, model.share)) if isinstance(model, ShareModel) else (Role.GET, model.get)
    )
    disk = model.disk if isinstance(model, GetModel) else None
    count = model.count or 1
    start, stagger = model.start or 0.0, model.stagger or 0.0
    if model.stagger is not None and count == 1:
        context.note(
            (*loc, "stagger"), "one node alone cannot be staggered", "add `count:`, or take it out", at_value=False
        )
    last = start + (count - 1) * stagger
    if start > context.limit:
        context.check_time_limit((*loc, "start"), start, f"{show_duration(start)}")
    elif last > context.limit:
        context.check_time_limit((*loc, "stagger"), last, f"the start of the last one at {show_duration(last)}")
    names = [group] if model.count is None else [f"{group}-{index}" for index in range(1, min(count, MAX_COUNT) + 1)]
    return [
        NodePlan(
            name,
            group,
            role,
            file,
            round(start + index * stagger, 3),
            _arguments(context, name, model),
            disk,
            program_of(model),
        )
        for index, name in enumerate(names)
    ]


def _arguments(context: ResolveContext, name: str, model: NodeModel) -> tuple[str, ...]:
    """The command line's options, all in units that the programs read."""
    if program_of(model) is not NodeProgram.OURS:
        return foreign_arguments(model)
    options: list[tuple[str, str | None]] = [("--seed", str(derive_seed(context.draft.scenario.seed, name)))]
    if isinstance(model, TrackerModel):
        options += [
            ("--keepalive", format_duration(model.tracker.keepalive)),
            ("--timeout", format_duration(model.tracker.timeout)),
        ]
    if isinstance(model, PeerModel):
        options.append(("--upload-rate", model.upload.text if model.upload else None))
    if isinstance(model, ShareModel):
        options.append(("--piece-length", format_size(model.piece_length) if model.piece_length else None))
    if isinstance(model, GetModel):
        options += [
            ("--timeout", format_duration(model.timeout) if model.timeout else None),
            ("--min-rate", model.min_rate.text if model.min_rate else None),
            ("--give-up", format_duration(model.give_up) if model.give_up else None),
            ("--strategy", model.strategy),
        ]
    words = [part for option, value in options if value is not None for part in (option, value)]
    if isinstance(model, ShareModel) and model.corrupt:
        words.append("--corrupt-uploads")
    return tuple(words)


def resolve(draft: Draft, path: Path, problems: list[Problem], parameters: Mapping[str, str] | None = None) -> Plan:
    """The plan of a draft; ``problems`` grows by whatever keeps it from being one."""
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
            f"the name `{given}` is not the file's, `{path.stem}`",
            f"write `name: {path.stem}`, or rename the file to {given}.yaml",
        )
    elif given is None and ("name",) not in context.draft.aside:
        try:
            parse_scenario_name(path.stem)
        except UnitError as error:
            context.note((), error.text, "a scenario is called as its file; rename it: " + error.hint)
    return path.stem
