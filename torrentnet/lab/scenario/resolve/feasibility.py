"""Expectations that can never fail, or can never hold, whatever the nodes do.

An expectation of the first kind lets a scenario pass that shows nothing; one of the second kind fails every run. Both
are problems of the file.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.timeline import KillModel, PauseModel, RunModel
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.plan.expectations import (
    Always,
    At,
    BecomesCheckPlan,
    BytesCheckPlan,
    ConsoleCheckPlan,
    ExitCheckPlan,
    HasCheckPlan,
    Interval,
    KnowsCheckPlan,
    LogCheckPlan,
    PairsCheckPlan,
    StateCheckPlan,
    Within,
)
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.lab.scenario.printed_events import find_event_mistake, find_text_mistake
from torrentnet.runtime.event_table import EVENTS
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.plan.expectations import ExpectationPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

KILLED_STATUS: Final = 137
"""The exit status of a program that SIGKILL has ended."""
_NUMBERED: Final = re.compile(r"(?P<group>[a-z][a-z0-9-]*)-[0-9]+")
_EVENT_NAME: Final = re.compile(r"[a-z_]{1,64}")
_ANY_TIME: Final = "add `at: 10s`, or `always: rest` to check that it never becomes more"


def check_feasibility(context: ResolveContext, loc: KeyPath, plan: ExpectationPlan) -> None:
    """Record a problem for an expectation that can never fail, or never hold."""
    if not plan.nodes:
        return  # its selector has been reported
    _check_bounds(context, loc, plan)
    _check_starts(context, loc, plan)
    match plan:
        case LogCheckPlan():
            _check_log(context, loc, plan)
        case HasCheckPlan():
            check_source(context, (*loc, "has"), plan.nodes)
        case BecomesCheckPlan():
            check_source(context, (*loc, "becomes"), plan.nodes)
        case KnowsCheckPlan():
            _check_number_of_peers(context, loc, plan)
        case ConsoleCheckPlan():
            _check_texts(context, loc, plan)
        case StateCheckPlan():
            _check_state(context, loc, plan)
        case ExitCheckPlan():
            _check_exit(context, loc, plan)


def _check_bounds(context: ResolveContext, loc: KeyPath, plan: ExpectationPlan) -> None:
    """Check the numbers of an expectation.

    An ``at least 0`` holds always. An ``at most`` of a number that only grows holds before anything has happened.
    """
    intervals: dict[tuple[str, ...], Interval | None] = {}
    match plan:
        case LogCheckPlan():
            intervals["times",] = plan.count
        case KnowsCheckPlan():
            intervals["knows",] = plan.count
        case BytesCheckPlan():
            intervals["bytes", "sent"], intervals["bytes", "received"] = plan.sent, plan.received
        case PairsCheckPlan():
            intervals |= {("pairs", "sent"): plan.sent, ("pairs", "received"): plan.received}
            intervals["pairs", "count"] = plan.count
    for key, interval in intervals.items():
        if interval is None or interval.least:
            continue
        if interval.most is None:
            context.note((*loc, *key), "this always holds: no number is below 0", "write `at least 1`, or remove it")
        elif isinstance(plan.timing, Within) and not isinstance(plan, KnowsCheckPlan):
            context.note((*loc, *key), "this holds before anything has happened", _ANY_TIME)


def _check_starts(context: ResolveContext, loc: KeyPath, plan: ExpectationPlan) -> None:
    """Record a problem for a time at which a node has not started yet."""
    timing = plan.timing
    if isinstance(timing, At):
        key, begin, end = "at", timing.time, timing.time
    elif timing.after is not None:
        return
    elif isinstance(timing, Always):
        key, begin, end = "always", timing.start, timing.start + timing.seconds
    else:
        key, begin, end = "within", 0.0, math.inf if timing.seconds is None else timing.seconds
    for name in plan.nodes:
        node = context.nodes[name]
        if end < node.start:
            text = f"`{name}` starts later, at {format_duration(node.start)}: nothing is true of it before"
            context.note((*loc, key), text, "choose a later time")
            return
        if not isinstance(timing, Always):
            continue
        if isinstance(plan, StateCheckPlan) and begin < node.start:
            text = f"`{name}` starts at {format_duration(node.start)}, so that this does not hold from"
            context.note((*loc, key), f"{text} {format_duration(begin)} on", "add `at:` with a later time")
            return
        if isinstance(plan, HasCheckPlan) and node.role is Role.GET and begin <= node.start:
            text = f"`{name}` begins to download at {format_duration(node.start)}, and cannot have the file from"
            context.note(
                (*loc, key), f"{text} {format_duration(begin)} on", "add `at:` with a later time, or write `within`"
            )
            return


def check_source(context: ResolveContext, loc: KeyPath, names: Sequence[str]) -> None:
    """Record a problem for a file that a node waits for and that no node shares."""
    if _runs_commands(context) or any(aside[0] in {"nodes", "files"} for aside in context.draft.aside):
        return
    shared = {_network_name(node.file) for node in context.nodes.values() if node.role is Role.SHARE and node.file}
    for name in names:
        node = context.nodes[name]
        if node.role is Role.GET and node.file and node.file not in {*shared, *context.unshared}:
            context.unshared.add(node.file)
            context.note(
                loc,
                f"no node shares `{node.file}`, so that `{name}` never has it",
                f"add a seeder: `nodes: {{seeder: {{share: {node.file}}}}}`",
            )
            return


def _network_name(file: str) -> str:
    return file.rpartition("/")[2]


def _runs_commands(context: ResolveContext) -> bool:
    """Return whether the timeline runs commands, which may start any program."""
    return any(isinstance(ref.model, RunModel) for ref in context.refs)


def _check_log(context: ResolveContext, loc: KeyPath, plan: LogCheckPlan) -> None:
    pattern, absent = plan.pattern, plan.count.most == 0
    commanded = {name for ref in context.refs if isinstance(ref.model, RunModel) for name in ref.nodes}
    if commanded & set(plan.nodes):
        # A command may print whatever it likes into the node's log.
        if pattern.event is not None and not _EVENT_NAME.fullmatch(pattern.event):
            text = f"`{pattern.event}` cannot be the name of an event"
            context.note((*loc, "log", "event"), text, "names have small letters and `_`: `bad_piece`")
        return
    nodes = [context.nodes[name] for name in plan.nodes]
    if pattern.text is not None:
        if absent and (mistake := find_text_mistake(pattern.text, nodes)):
            context.note((*loc, "log"), mistake.text, mistake.hint)
        return
    assert pattern.event is not None
    fields = dict(pattern.fields)
    mistake = find_event_mistake(pattern.event, fields, nodes, absent=absent)
    if mistake is None:
        _check_names(context, loc, pattern.event, fields)
    elif mistake.key in fields and mistake.text.endswith(f"no field `{mistake.key}`"):
        context.note_key((*loc, "log", mistake.key), mistake.text, mistake.hint)
    else:
        context.note((*loc, "log", mistake.key), mistake.text, mistake.hint)


def _check_names(context: ResolveContext, loc: KeyPath, event: str, fields: Mapping[str, str]) -> None:
    """Check the names of peers and files in an event's fields."""
    if _runs_commands(context) or context.draft.aside:
        return
    peers = [node.name for node in context.nodes.values() if node.role is not Role.TRACKER]
    files = sorted({_network_name(node.file) for node in context.nodes.values() if node.file})
    for field in EVENTS[event].fields:
        value = fields.get(field.key)
        if value is None:
            continue
        place = (*loc, "log", field.key)
        if field.unit in {"peer name", "peer names"}:
            for name in value.split(","):
                # The tracker appends the address where it does not know the lab's name of a peer.
                if name not in peers and "@" not in name:
                    context.note(place, f"no peer has the name `{name}`", did_you_mean(name, peers, "there are"))
                    return
        elif field.unit == "file name" and value not in files:
            context.note(place, f"no node shares or gets `{value}`", did_you_mean(value, files, "there are"))
            return


def _check_number_of_peers(context: ResolveContext, loc: KeyPath, plan: KnowsCheckPlan) -> None:
    peers = [node for node in context.nodes.values() if node.role is not Role.TRACKER]
    if _runs_commands(context) or any(aside[0] == "nodes" for aside in context.draft.aside):
        return
    # A client of another project may be listed more than once.
    ours = all(node.program is NodeProgram.OURS for node in peers)
    peers = [node for node in peers if node.role is not Role.RUN]
    if ours and plan.count.least is not None and plan.count.least > len(peers):
        known = f"there are only {len(peers)} peers" if len(peers) != 1 else "there is only one peer"
        context.note((*loc, "knows"), known, f"write at most `{len(peers)}`")


def _check_texts(context: ResolveContext, loc: KeyPath, plan: ConsoleCheckPlan) -> None:
    for index, text in enumerate(plan.lacks):
        place = (*loc, "lacks", *((index,) if len(plan.lacks) > 1 else ()))
        inside = next((other for other in plan.contains if text in other), None)
        if inside is not None:
            where = "" if inside == text else f", as a part of `{inside}`"
            context.note(place, f"`{text}` is under `contains` too{where}", "keep one of them")
        elif (match := _NUMBERED.fullmatch(text)) and not _may_be_listed(context, text, match["group"]):
            nodes = context.directory.nodes
            context.note(place, f"no node has the name `{text}`", did_you_mean(text, nodes, "there are"))


def _may_be_listed(context: ResolveContext, name: str, group: str) -> bool:
    """Return whether a text that looks like a node's name may be printed.

    It may where it is one, where nothing is known of such a group, and where the nodes cannot be read.
    """
    directory = context.directory
    return name in directory.nodes or group not in directory.groups or bool(context.draft.aside)


def _check_state(context: ResolveContext, loc: KeyPath, plan: StateCheckPlan) -> None:
    if any(aside[0] == "timeline" for aside in context.draft.aside):
        return
    if plan.state == "paused":
        paused = {name for ref in context.refs if isinstance(ref.model, PauseModel) for name in ref.nodes}
        for name in plan.nodes:
            if name not in paused:
                context.note((*loc, "state"), f"no event pauses `{name}`", f"add `{{at: 5s, pause: {name}, for: 3s}}`")
                return
    early = all(context.nodes[name].start == 0 for name in plan.nodes)
    if plan.state == "running" and isinstance(plan.timing, Within) and plan.timing.after is None and early:
        context.note(
            (*loc, "state"),
            "this holds before anything has happened: the lab begins when these nodes run",
            "add `at: 10s`, `always: rest`, or `after:` with an event",
        )


def _check_exit(context: ResolveContext, loc: KeyPath, plan: ExitCheckPlan) -> None:
    if plan.after is None or plan.status == KILLED_STATUS:
        return
    event = context.refs[plan.after]
    others = {name for ref in context.refs if ref is not event and ref.verb != "pause" for name in ref.nodes}
    for name in plan.nodes:
        killed = isinstance(event.model, KillModel) and not event.source_of
        if killed and name in event.nodes and name not in others:
            context.note(
                (*loc, "exit"),
                f"`{name}` is killed then, so that its exit status is {KILLED_STATUS}",
                f"write `exit: {KILLED_STATUS}`, or `stop` the node",
            )
            return
