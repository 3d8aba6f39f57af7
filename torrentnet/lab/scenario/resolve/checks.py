"""The checks of the expectations, as plans and in words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.intervals import format_byte_interval, format_interval
from torrentnet.lab.scenario.language.models.expectations import (
    BecomesModel,
    BytesModel,
    ConsoleCheckModel,
    ExitModel,
    ForgetsModel,
    HasModel,
    KnowsModel,
    LogEventModel,
    LogModel,
    StateModel,
)
from torrentnet.lab.scenario.plan import (
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
    Role,
    StateCheckPlan,
)
from torrentnet.lab.scenario.resolve.programs import check_console_command, check_expiry, check_tracker_query
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.expectations import AnyExpectationModel
    from torrentnet.lab.scenario.plan import ExpectationPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

_FEW: Final = 4
"""At most so many nodes are listed by name; more are counted."""
_EVERY: Final = "every "


def resolve_check(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: AnyExpectationModel
) -> tuple[Callable[..., ExpectationPlan], str]:
    """Return what makes the plan from what all checks have in common, and the predicate of its sentence."""
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
                f"{word} {format_byte_interval(interval)}"
                for word, interval in (("sent", sent), ("received", received))
                if interval is not None
            ]
            return partial(BytesCheckPlan, sent=sent, received=received), f"{have} {' and '.join(parts)}"


def _resolve_forgotten(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: ForgetsModel
) -> tuple[str, ...]:
    place = (*loc, "forgets")
    _tracker_only(context, loc, nodes, "forgets")
    check_tracker_query(context, place, "which peers have left")
    peers = context.select(model.forgets, place)
    if any(context.nodes[name].role is Role.TRACKER for name in peers):
        context.note(place, "the tracker does not know itself", "name peers")
    check_expiry(context, place, peers)
    return peers


def _resolve_console(
    context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], model: ConsoleCheckModel
) -> Callable[..., ExpectationPlan]:
    contains, lacks = model.contains or (), model.lacks or ()
    check_console_command(context, (*loc, "console"), nodes, model.console)
    for index, text in enumerate(lacks):
        if text in contains:
            item = (index,) if len(lacks) > 1 else ()
            context.note((*loc, "lacks", *item), f"`{text}` is under `contains` too", "keep one of them")
    return partial(ConsoleCheckPlan, command=model.console, contains=contains, lacks=lacks)


def _describe_console(model: ConsoleCheckModel, s: str) -> str:
    wanted = (("contains", model.contains), ("lacks", model.lacks))
    parts = [f"{word} {', '.join(texts)}" for word, texts in wanted if texts]
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
                    f"`{name}` shares `{given}` under the name `{known}`, and has it from the start",
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
    for name in nodes:
        if context.nodes[name].role is Role.TRACKER:
            context.note(
                (*loc, "node"), f"the tracker is not a peer: it never {what_not}", "name peers or their groups"
            )
            return


def _tracker_only(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], does: str) -> None:
    for name in nodes:
        if context.nodes[name].role is not Role.TRACKER:
            context.note((*loc, "node"), f"`{name}` is a peer; only the tracker {does}", "write `node: tracker`")
            return


def name_selected_nodes(context: ResolveContext, names: tuple[str, ...]) -> str:
    """Return a few nodes by name, more as their group or as the first and the last."""
    if len(names) <= _FEW:
        return ", ".join(names)
    for group, members in context.directory.groups.items():
        if tuple(members) == names:
            return f"{_EVERY}{group} ({len(names)})"
    return f"{names[0]} to {names[-1]} ({len(names)} nodes)"
