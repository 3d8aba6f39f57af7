"""What each kind of expectation asks, in the plan's terms and in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.intervals import format_byte_interval, format_interval
from torrentnet.lab.scenario.language.messages import did_you_mean
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
from torrentnet.lab.scenario.plan import CheckKind, Interval, LogPattern, Role
from torrentnet.lab.scenario.resolve.programs import check_console_command, check_expiry, check_tracker_query

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.expectations import AnyExpectationModel
    from torrentnet.lab.scenario.plan import ExpectationPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

_FEW = 4
"""Nodes that are listed by name; more are counted."""
_EVERY = "every "


def resolve_check(
    context: ResolveContext, loc: KeyPath, plan: ExpectationPlan, model: AnyExpectationModel
) -> tuple[ExpectationPlan, str]:
    """The plan with what is asked, and the same in words."""
    many = len(plan.nodes) > 1 and not name_selected_nodes(context, plan.nodes).startswith(_EVERY)
    s = "" if many else "s"
    match model:
        case HasModel():
            _peers_only(context, loc, plan.nodes, "has a file")
            _check_file(context, loc, plan.nodes, model.has)
            return replace(plan, check=CheckKind.HAS, file=model.has), f"{'have' if many else 'has'} {model.has}"
        case BecomesModel():
            _peers_only(context, loc, plan.nodes, "becomes a seed")
            said = "become seeds" if many else "becomes a seed"
            return replace(plan, check=CheckKind.BECOMES, state=model.becomes), said
        case ForgetsModel():
            _tracker_only(context, loc, plan.nodes, "forgets")
            check_tracker_query(context, (*loc, "forgets"), "whom it has forgotten")
            forgotten = context.select(model.forgets, (*loc, "forgets"))
            if any(context.nodes[name].role is Role.TRACKER for name in forgotten):
                context.note((*loc, "forgets"), "the tracker does not know itself", "name peers")
            check_expiry(context, (*loc, "forgets"), forgotten)
            return replace(
                plan, check=CheckKind.FORGETS, forgotten=forgotten
            ), f"forgets {name_selected_nodes(context, forgotten)}"
        case KnowsModel():
            _tracker_only(context, loc, plan.nodes, "knows all peers")
            check_tracker_query(context, (*loc, "knows"), "how many peers it knows")
            return replace(plan, check=CheckKind.KNOWS, bound=model.knows), f"knows {_counted(model.knows, 'peer')}"
        case ConsoleCheckModel():
            return _console(context, loc, plan, model, s)
        case LogModel():
            return _log(plan, model, "have" if many else "has")
        case StateModel():
            return replace(plan, check=CheckKind.STATE, state=model.state), f"{'are' if many else 'is'} {model.state}"
        case ExitModel():
            said = f"end{s} with exit status {model.exit}"
            return replace(plan, check=CheckKind.EXIT, status=model.exit), said
        case BytesModel():
            wanted = (("sent", model.bytes.sent), ("received", model.bytes.received))
            parts = [f"{word} {format_byte_interval(bound)}" for word, bound in wanted if bound is not None]
            said = f"{'have' if many else 'has'} {' and '.join(parts)}"
            return replace(plan, check=CheckKind.BYTES, sent=model.bytes.sent, received=model.bytes.received), said


def _console(
    context: ResolveContext, loc: KeyPath, plan: ExpectationPlan, model: ConsoleCheckModel, s: str
) -> tuple[ExpectationPlan, str]:
    contains, lacks = model.contains or (), model.lacks or ()
    check_console_command(context, (*loc, "console"), plan.nodes, model.console)
    for index, text in enumerate(lacks):
        if text in contains:
            item = (index,) if len(lacks) > 1 else ()
            context.note((*loc, "lacks", *item), f"`{text}` stands under `contains` too", "it cannot be both")
    parts = [f"{word} {', '.join(texts)}" for word, texts in (("contains", contains), ("lacks", lacks)) if texts]
    said = f"answer{s} `{model.console}` with a text that {' and '.join(parts)}"
    return replace(plan, check=CheckKind.CONSOLE, command=model.console, contains=contains, lacks=lacks), said


def _log(plan: ExpectationPlan, model: LogModel, have: str) -> tuple[ExpectationPlan, str]:
    bound = model.times or Interval(least=1)
    if isinstance(model.log, LogEventModel):
        fields = tuple(sorted((model.log.model_extra or {}).items()))
        pattern = LogPattern(event=model.log.event, fields=fields)
        shown = " ".join([model.log.event, *(f"{key}={value}" for key, value in fields)])
    else:
        pattern = LogPattern(text=model.log)
        shown = model.log
    if bound.most == 0:
        return replace(plan, check=CheckKind.LOG, log=pattern, bound=bound), f"{have} no `{shown}` in the log"
    count = "" if model.times is None else f" {_counted(bound, 'time')}"
    return replace(plan, check=CheckKind.LOG, log=pattern, bound=bound), f"{have} `{shown}` in the log{count}"


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
                    f"`{name}` gives out `{given}` under the name `{known}`; it has that from the start",
                    "ask others what they have",
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
            context.note((*loc, "node"), f"the tracker is no peer: it never {what_not}", "name peers or their groups")
            return


def _tracker_only(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], does: str) -> None:
    for name in nodes:
        if context.nodes[name].role is not Role.TRACKER:
            context.note((*loc, "node"), f"`{name}` is a peer; it is the tracker that {does}", "write `node: tracker`")
            return


def name_selected_nodes(context: ResolveContext, names: tuple[str, ...]) -> str:
    """Nodes in words: by name where they are few, else the group or the first and the last."""
    if len(names) <= _FEW:
        return ", ".join(names)
    for group, members in context.directory.groups.items():
        if tuple(members) == names:
            return f"{_EVERY}{group} ({len(names)})"
    return f"{names[0]} to {names[-1]} ({len(names)} nodes)"
