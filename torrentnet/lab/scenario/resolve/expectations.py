"""Resolution of the expectations: their nodes, checks and times.

An expectation that can never hold is a problem of the file.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.expectations import (
    BecomesModel,
    BytesModel,
    ConsoleCheckModel,
    ContentModel,
    ExitModel,
    ForgetsModel,
    HasModel,
    KnowsModel,
    LogEventModel,
    LogModel,
    PairsModel,
    StateModel,
)
from torrentnet.lab.scenario.language.scalars import format_duration, format_interval, format_size
from torrentnet.lab.scenario.plan.expectations import (
    Always,
    At,
    BecomesCheckPlan,
    BytesCheckPlan,
    ConsoleCheckPlan,
    ExitCheckPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    Interval,
    KnowsCheckPlan,
    LogCheckPlan,
    LogPattern,
    PairsCheckPlan,
    Severity,
    StateCheckPlan,
    Within,
)
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.lab.scenario.resolve.context import normalize_reference
from torrentnet.lab.scenario.resolve.feasibility import check_feasibility
from torrentnet.lab.scenario.resolve.foreign import is_replaced
from torrentnet.lab.scenario.resolve.programs import check_console_command, check_expiry, check_tracker_query
from torrentnet.lab.scenario.resolve.references import find_event
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.expectations import AnyExpectationModel
    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.plan.expectations import ExpectationPlan, Timing
    from torrentnet.lab.scenario.resolve.context import ResolveContext

OBSERVER: Final = "observer "
"""Begins the commands of a console that its program never sees."""
_FEW: Final = 4
"""Maximum number of nodes that are listed by name."""
_EVERY: Final = "every "


def resolve_check(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: AnyExpectationModel
) -> tuple[Callable[..., ExpectationPlan], str]:
    """Return the check's class in the plan, and the predicate of its sentence.

    The check's own fields are already set in the class.
    """
    many = len(nodes) > 1 and not name_selected_nodes(context, nodes).startswith(_EVERY)
    have, s = ("have", "") if many else ("has", "s")
    match model:
        case HasModel():
            _peers_only(context, loc, nodes, "has a file")
            _check_file(context, loc, nodes, model.has)
            return partial(HasCheckPlan, file=model.has), f"{have} {model.has}"
        case BecomesModel():
            _peers_only(context, loc, nodes, "becomes a seed")
            return partial(BecomesCheckPlan, state=model.becomes), "become seeds" if many else "becomes a seed"
        case ForgetsModel():
            peers = _resolve_forgotten(context, loc, nodes, model)
            return partial(ForgetsCheckPlan, peers=peers), f"forgets {name_selected_nodes(context, peers)}"
        case KnowsModel():
            _tracker_only(context, loc, nodes, "knows all peers")
            check_tracker_query(context, (*loc, "knows"), "how many peers it knows")
            return partial(KnowsCheckPlan, count=model.knows), f"knows {_counted(model.knows, 'peer')}"
        case ConsoleCheckModel():
            return _resolve_console(context, loc, nodes, model), _describe_console(model, s)
        case LogModel():
            return _resolve_log(model, have)
        case StateModel():
            return partial(StateCheckPlan, state=model.state), f"{'are' if many else 'is'} {model.state}"
        case ExitModel():
            return partial(ExitCheckPlan, status=model.exit), f"end{s} with exit status {model.exit}"
        case BytesModel():
            sent, received = model.bytes.sent, model.bytes.received
            parts = [
                f"{word} {format_interval(interval, format_size)}"
                for word, interval in (("sent", sent), ("received", received))
                if interval is not None
            ]
            return partial(BytesCheckPlan, sent=sent, received=received), f"{have} {' and '.join(parts)}"
        case PairsModel():
            return _resolve_pairs(context, loc, nodes, model.pairs, have)


def _resolve_pairs(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: ContentModel, have: str
) -> tuple[Callable[..., ExpectationPlan], str]:
    place = (*loc, "pairs", "with")
    peers = context.select(model.with_, place)
    uncounted = [name for name in nodes if context.nodes[name].program is not NodeProgram.FOREIGN]
    for name in uncounted:
        other = next((peer for peer in peers if context.nodes[peer].program is not NodeProgram.FOREIGN), None)
        if other is not None:
            context.note(
                place,
                f"what `{name}` and `{other}` send each other is not counted: neither runs a program under `programs`",
                "check `bytes`, or `console: request logs` of our own peers",
            )
            break
    if len(peers) == 1 and set(nodes) == set(peers):
        context.note(place, f"`{peers[0]}` has no pair with itself", "name other nodes")
    others = name_selected_nodes(context, peers)
    parts = [
        f"{word} {format_interval(interval, format_size)} {direction} {others}"
        for word, interval, direction in (("received", model.received, "from"), ("sent", model.sent, "to"))
        if interval is not None
    ]
    if model.count is not None:
        parts.append(f"received something from {format_interval(model.count)} of {others}")
        if model.count.least is not None and model.count.least > len(peers) > 0:
            context.note((*loc, "pairs", "count"), f"`with` selects {len(peers)} only", f"write at most {len(peers)}")
    plan = partial(PairsCheckPlan, peers=peers, received=model.received, sent=model.sent, count=model.count)
    return plan, f"{have} {' and '.join(parts)}"


def _resolve_forgotten(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: ForgetsModel
) -> tuple[str, ...]:
    place = (*loc, "forgets")
    _tracker_only(context, loc, nodes, "forgets")
    check_tracker_query(context, place, "which peers have left")
    peers = context.select(model.forgets, place)
    if any(context.nodes[name].role is Role.TRACKER for name in peers):
        context.note(place, "the tracker does not list itself", "name peers")
    check_expiry(context, place, peers)
    return peers


def _resolve_console(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: ConsoleCheckModel
) -> Callable[..., ExpectationPlan]:
    contains, lacks = model.contains or (), model.lacks or ()
    check_console_command(context, (*loc, "console"), nodes, model.console)
    return partial(ConsoleCheckPlan, command=model.console, contains=contains, lacks=lacks, empty=model.empty)


def _describe_console(model: ConsoleCheckModel, s: str) -> str:
    wanted = (("contains", model.contains), ("lacks", model.lacks))
    parts = [f"{word} {', '.join(texts)}" for word, texts in wanted if texts]
    if model.empty is not None:
        parts.append("is empty" if model.empty else "is not empty")
    return f"answer{s} `{model.console}` with output that {' and '.join(parts)}"


def _resolve_log(model: LogModel, have: str) -> tuple[Callable[..., ExpectationPlan], str]:
    count = model.times or Interval(least=1)
    if isinstance(model.log, LogEventModel):
        fields = tuple(sorted((model.log.model_extra or {}).items()))
        pattern = LogPattern(event=model.log.event, fields=fields)
        shown = " ".join([model.log.event, *(f"{key}={value}" for key, value in fields)])
    else:
        pattern = LogPattern(text=model.log)
        shown = model.log
    make = partial(LogCheckPlan, pattern=pattern, count=count)
    if count.most == 0:
        return make, f"{have} no `{shown}` in the log"
    times = "" if model.times is None else f" {_counted(count, 'time')}"
    return make, f"{have} `{shown}` in the log{times}"


def _counted(bound: Interval, noun: str) -> str:
    one = bound.most == 1 if bound.most is not None else bound.least == 1
    return f"{format_interval(bound)} {noun}{'' if one else 's'}"


def _check_file(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], wanted: str) -> None:
    for name in nodes:
        node = context.nodes[name]
        if node.file is not None and node.file != wanted:
            if "/" in node.file:
                given, known = node.file.split("/", 1)
                context.note(
                    (*loc, "has"),
                    f"`{name}` shares `{given}` under the name `{known}`, and has that file from the start",
                    "name other peers",
                )
                return
            verb = "shares" if node.role is Role.SHARE else "gets"
            context.note(
                (*loc, "has"),
                f"`{name}` {verb} `{node.file}`, not `{wanted}`",
                did_you_mean(wanted, [node.file], "it can be"),
            )
            return


def _peers_only(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], what_not: str) -> None:
    if any(context.nodes[name].role is Role.TRACKER for name in nodes):
        context.note((*loc, "node"), f"the tracker is not a peer: it never {what_not}", "name peers or their groups")
    for name in nodes:
        if context.nodes[name].role is Role.RUN:
            hint = f"write `get: FILE` with `client:` for it, or `console: observer files BYTES` of `{name}`"
            context.note((*loc, "node"), f"`{name}` runs a program without a role: it never {what_not}", hint)
            return


def _tracker_only(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], does: str) -> None:
    for name in nodes:
        if context.nodes[name].role is not Role.TRACKER:
            is_what = "runs a program without a role" if context.nodes[name].role is Role.RUN else "is a peer"
            context.note((*loc, "node"), f"`{name}` {is_what}; only the tracker {does}", "write `node: tracker`")
            return


def name_selected_nodes(context: ResolveContext, names: tuple[str, ...]) -> str:
    """List a few nodes by name, and describe more of them briefly.

    The description is their group, or the first and the last.
    """
    if len(names) <= _FEW:
        return ", ".join(names)
    for group, members in context.directory.groups.items():
        if tuple(members) == names:
            return f"{_EVERY}{group} ({len(names)})"
    return f"{names[0]} to {names[-1]} ({len(names)} nodes)"


def resolve_expectations(
    context: ResolveContext, events: tuple[EventPlan, ...]
) -> tuple[tuple[ExpectationPlan, ...], tuple[str, ...]]:
    """Return the expectations in the order of the file, and those that are left out.

    The latter are sentences.

    An expectation of what our own program would say is left out where the user has put another in its place.
    """
    plans: list[ExpectationPlan] = []
    left_out: list[str] = []
    for position, model in zip(context.draft.positions["expect"], context.draft.scenario.expect, strict=True):
        loc: KeyPath = ("expect", position)
        nodes = context.select(model.node, (*loc, "node"))
        index = find_event(context, (*loc, "after"), model.after) if model.after is not None else None
        timing = _resolve_timing(context, loc, model, None if index is None else events[index])
        make, predicate = resolve_check(context, loc, nodes, model)
        plan = make(
            index=len(plans),
            nodes=nodes,
            text=f"{name_selected_nodes(context, nodes)} {predicate} {_describe_timing(timing, model)}",
            where=context.draft.document.where(loc),
            timing=timing,
            severity=Severity(model.level) if model.level is not None else Severity.FAILURE,
            pass_text=model.pass_ or "",
            fail_text=model.fail or "",
        )
        replaced = not context.for_any_program and any(is_replaced(context, name) for name in nodes)
        if replaced and _wants_own_words(plan):
            left_out.append(f"{plan.text} ({plan.where})")
            continue
        check_feasibility(context, loc, plan)
        plans.append(plan)
    return tuple(plans), tuple(left_out)


def _wants_own_words(plan: ExpectationPlan) -> bool:
    """Return whether an expectation is about the words of our own programs."""
    return isinstance(plan, LogCheckPlan) or (
        isinstance(plan, ConsoleCheckPlan) and not plan.command.startswith(OBSERVER)
    )


def _resolve_timing(
    context: ResolveContext, loc: KeyPath, model: AnyExpectationModel, after: EventPlan | None
) -> Timing:
    index = None if after is None else after.index
    start = (model.at or 0.0) if after is None else after.at
    since = f" after {format_duration(start)}" if after is not None or start else ""

    def check_end(key: str, seconds: float) -> None:
        context.check_time_limit((*loc, key), start + seconds, f"{format_duration(seconds)}{since}")

    if model.at is not None:
        context.check_time_limit((*loc, "at"), model.at, format_duration(model.at))
    if model.always is not None:
        if isinstance(model.always, str):
            return Always(math.inf, model.at or 0.0, index)
        check_end("always", model.always)
        return Always(model.always, model.at or 0.0, index)
    if model.at is not None:
        return At(model.at)
    if model.within is not None:
        check_end("within", model.within)
        return Within(model.within, index)
    if after is not None and after.when is not None:
        return Within(None, index)
    return Within(max(0.0, round(context.draft.scenario.time_limit - start, 3)), index)


def _describe_timing(timing: Timing, model: AnyExpectationModel) -> str:
    since = "" if model.after is None else f"after {normalize_reference(model.after)}"
    match timing:
        case Always(seconds=seconds):
            if model.at is not None:
                since = f"from {format_duration(model.at)} on"
            if seconds == math.inf:
                return f"all the time {since or 'from the start'} to the end"
            return f"all the time for {format_duration(seconds)} {since or 'from the start'}"
        case At(time=time):
            return f"at {format_duration(time)}"
        case Within():
            if model.within is None:
                return f"{since}, before the end" if since else "before the end"
            return f"within {format_duration(model.within)} {since}".rstrip()
