"""Files and nodes, with the command lines of their programs.

Tested by tests/unit/lab/scenario/resolve/test_scenario.py.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.scenario import (
    GetModel,
    PeerModel,
    RunNodeModel,
    ShareModel,
    SourceFileModel,
    TrackerModel,
)
from torrentnet.lab.scenario.language.models.values import MAX_COUNT
from torrentnet.lab.scenario.language.scalars import (
    InvalidValueError,
    format_duration,
    format_size,
    parse_file_name,
    parse_node_name,
)
from torrentnet.lab.scenario.plan.plan import FilePlan, NodePlan, NodeProgram
from torrentnet.lab.scenario.resolve.context import NodeDirectory
from torrentnet.lab.scenario.resolve.foreign import check_foreign, check_tracker, program_of, role_of
from torrentnet.lab.scenario.resolve.limits import file_size, resolve_limits
from torrentnet.lab.scenario.resolve.programs import TRACKER, check_program, foreign_arguments

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.scenario import NodeModel
    from torrentnet.lab.scenario.plan.program import ProgramPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

MAX_NODES: Final = 500
"""Nodes of one lab, the tracker included."""


def derive_seed(seed: int, name: str) -> int:
    """Return a node's own seed of 32 bits.

    It is the same on every machine and in every process.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4])


def resolve_files(context: ResolveContext, folder: Path) -> tuple[FilePlan, ...]:
    """Return the files; sources are relative to the scenario's folder."""
    plans: list[FilePlan] = []
    for name, model in context.draft.scenario.files.items():
        try:
            parse_file_name(name)
        except InvalidValueError as error:
            context.note_key(("files", name), error.text, error.hint)
            continue
        if model.as_ is not None:
            _check_as(context, name, model.as_)
        made = generated_path(context, name)
        if isinstance(model, SourceFileModel):
            plans.append(FilePlan(made, _source(context, ("files", name, "source"), folder, model.source)))
        else:
            plans.append(FilePlan(made, model.size, text=model.content == "text"))
    return tuple(plans)


def _check_as(context: ResolveContext, name: str, other: str) -> None:
    loc: KeyPath = ("files", name, "as")
    context.check_file(loc, other)
    if other == name:
        context.note(loc, f"`{name}` has that name already", "remove `as`, or name another file")
    elif (model := context.draft.scenario.files.get(other)) is not None and model.as_ is not None:
        context.note(loc, f"`{other}` is itself shared as `{model.as_}`", f"write `as: {model.as_}`")


def generated_path(context: ResolveContext, name: str) -> str:
    """Return the path of a file in the lab.

    A file with another file's name has a folder of its own.
    """
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
        context.note(loc, f"there is no file `{text}`", "write the path relative to the scenario file")
    elif not path.is_file():
        context.note(loc, f"`{text}` is not a regular file")
    elif not os.access(path, os.R_OK):
        context.note(loc, f"`{text}` cannot be read")
    return path


def resolve_nodes(context: ResolveContext, files: tuple[FilePlan, ...]) -> None:
    """Set the context's nodes and directory.

    ``files`` are what the nodes share and get.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for group, model in context.draft.scenario.nodes.items():
        loc: KeyPath = ("nodes", group)
        try:
            parse_node_name(group)
        except InvalidValueError as error:
            context.note_key(loc, error.text, error.hint)
        _check_role(context, loc, group, model)
        program, foreign = program_of(context, loc, model)
        check_program(context, loc, model, program)
        if foreign is not None:
            check_foreign(context, loc, model, foreign)
        names: list[str] = []
        if len(context.nodes) > MAX_NODES:
            break
        for plan in _nodes_of(context, loc, group, model, files, program, foreign):
            if plan.name in context.nodes:
                other = context.nodes[plan.name].group
                context.note_key(loc, f"the name `{plan.name}` is taken by the group `{other}`", "rename one of them")
                break
            context.nodes[plan.name] = plan
            names.append(plan.name)
        groups[group] = tuple(names)
    unread = context.draft.unread("nodes")
    if TRACKER not in groups and TRACKER not in unread and ("nodes",) not in context.draft.aside:
        check_tracker(context, TRACKER)
    if len(context.nodes) > MAX_NODES:
        context.note_key(("nodes",), f"there are {_count_nodes(context)} nodes; a lab has at most {MAX_NODES}")
    context.directory = NodeDirectory(groups, None if ("nodes",) in context.draft.aside else unread)


def _count_nodes(context: ResolveContext) -> int:
    models = context.draft.scenario.nodes.values()
    return sum(1 if isinstance(model, TrackerModel) else model.count or 1 for model in models)


def _check_role(context: ResolveContext, loc: KeyPath, group: str, model: NodeModel) -> None:
    if isinstance(model, TrackerModel):
        if group != TRACKER:
            context.note_key(loc, "the tracker must have the name `tracker`", "rename the group; a lab has one tracker")
        if model.tracker.timeout <= model.tracker.keepalive:
            explicit = "timeout" if "timeout" in model.tracker.model_fields_set else "keepalive"
            context.note(
                (*loc, "tracker", explicit),
                f"the time-out {format_duration(model.tracker.timeout)} is not longer than the keep-alive interval "
                f"{format_duration(model.tracker.keepalive)}, so that every peer would expire",
                f"write three times that interval or more: `timeout: {format_duration(3 * model.tracker.keepalive)}`",
            )
        return
    if group == TRACKER:
        context.note_key(
            loc, "a peer cannot have the name `tracker`", "rename the group; `tracker: {tracker: {}}` is the tracker"
        )
    if isinstance(model, RunNodeModel):
        return
    key, name = ("share", model.share) if isinstance(model, ShareModel) else ("get", model.get)
    context.check_file((*loc, key), name)
    file = context.draft.scenario.files.get(name)
    if key == "get" and file is not None and file.as_ is not None:
        context.note((*loc, key), f"`{name}` is shared under the name `{file.as_}`", f"write `get: {file.as_}`")


def _nodes_of(
    context: ResolveContext,
    loc: KeyPath,
    group: str,
    model: NodeModel,
    files: tuple[FilePlan, ...],
    program: NodeProgram,
    foreign: ProgramPlan | None,
) -> list[NodePlan]:
    role = role_of(model)
    file: str | None = None
    stored = 0
    match model:
        case TrackerModel():
            limits = resolve_limits(context, loc, model, 0, foreign)
            arguments = _arguments(context, group, model, program)
            return [NodePlan(group, group, role, None, 0.0, arguments, limits, program, foreign=foreign)]
        case ShareModel():
            file = generated_path(context, model.share)
        case GetModel():
            file = model.get
            stored = file_size(files, file)
    limits = resolve_limits(context, loc, model, stored, foreign)
    count = model.count or 1
    start, stagger = model.start or 0.0, model.stagger or 0.0
    if model.stagger is not None and count == 1:
        context.note_key((*loc, "stagger"), "a single node cannot be staggered", "add `count:`, or remove `stagger`")
    last = start + (count - 1) * stagger
    if start > context.limit:
        context.check_time_limit((*loc, "start"), start, format_duration(start))
    elif last > context.limit:
        context.check_time_limit((*loc, "stagger"), last, f"the start of the last node at {format_duration(last)}")
    names = [group] if model.count is None else [f"{group}-{index}" for index in range(1, min(count, MAX_COUNT) + 1)]
    return [
        NodePlan(
            name,
            group,
            role,
            file,
            round(start + index * stagger, 3),
            _arguments(context, name, model, program),
            limits,
            program,
            foreign=foreign,
        )
        for index, name in enumerate(names)
    ]


def _arguments(context: ResolveContext, name: str, model: NodeModel, program: NodeProgram) -> tuple[str, ...]:
    """Return the options of the program's command line."""
    if isinstance(model, RunNodeModel):
        return tuple(shlex.split(model.args or ""))
    if program is not NodeProgram.OURS:
        return () if program is NodeProgram.FOREIGN else foreign_arguments(model)
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
