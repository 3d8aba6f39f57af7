"""The expectations: of whom, by when, and whether they can be met at all."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.models.values import REST_OF_RUN
from torrentnet.lab.scenario.language.units import show_duration
from torrentnet.lab.scenario.plan import CheckKind, ExpectationPlan, Severity
from torrentnet.lab.scenario.resolve.checks import name_selected_nodes, resolve_check
from torrentnet.lab.scenario.resolve.event_refs import find_event, normalize_reference

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.expectations import AnyExpectationModel
    from torrentnet.lab.scenario.plan import EventPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext
    from torrentnet.lab.scenario.resolve.event_refs import EventRef

_GROWING = frozenset({CheckKind.LOG, CheckKind.BYTES})
"""What is counted there never becomes less."""


def resolve_expectations(context: ResolveContext, events: tuple[EventRef, ...]) -> tuple[ExpectationPlan, ...]:
    """The expectations in the order of the file."""
    plans: list[ExpectationPlan] = []
    for position, model in zip(context.draft.expect, context.draft.scenario.expect, strict=True):
        loc: KeyPath = ("expect", position)
        nodes = context.select(model.node, (*loc, "node"))
        after = find_event(context, (*loc, "after"), model.after, events) if model.after is not None else None
        plan = ExpectationPlan(
            index=len(plans),
            check=CheckKind.HAS,
            nodes=nodes,
            text="",
            where=context.draft.document.where(loc),
            within=_within(context, loc, model, after),
            at=model.at,
            after=None if after is None else after.index,
            always=_always(context, loc, model, after),
            level=Severity(model.level) if model.level is not None else Severity.FAILURE,
            pass_text=model.pass_ or "",
            fail_text=model.fail or "",
        )
        plan, said = resolve_check(context, loc, plan, model)
        _check_bounds(context, loc, plan)
        plans.append(replace(plan, text=f"{name_selected_nodes(context, nodes)} {said} {_when(plan, model)}"))
    return tuple(plans)


def _begin(model: AnyExpectationModel, after: EventPlan | None) -> float:
    """The earliest second from which time counts."""
    return model.at or 0.0 if after is None else after.at


def _within(context: ResolveContext, loc: KeyPath, model: AnyExpectationModel, after: EventPlan | None) -> float | None:
    begin = _begin(model, after)
    if model.at is not None:
        context.past_limit((*loc, "at"), model.at, show_duration(model.at))
        return None
    if model.always is not None:
        return None
    if model.within is not None:
        _past(context, (*loc, "within"), begin, model.within, after)
        return model.within
    if after is not None and after.when is not None:
        return None
    return max(0.0, round(context.draft.scenario.time_limit - begin, 3))


def _always(context: ResolveContext, loc: KeyPath, model: AnyExpectationModel, after: EventPlan | None) -> float | None:
    if model.always is None or model.always == REST_OF_RUN or isinstance(model.always, str):
        return None if model.always is None else math.inf
    _past(context, (*loc, "always"), _begin(model, after), model.always, after)
    return model.always


def _past(context: ResolveContext, loc: KeyPath, begin: float, lasts: float, after: EventPlan | None) -> None:
    since = f" after {show_duration(begin)}" if after is not None or begin else ""
    context.past_limit(loc, begin + lasts, f"{show_duration(lasts)}{since}")


def _check_bounds(context: ResolveContext, loc: KeyPath, plan: ExpectationPlan) -> None:
    """What only says "at most" of something that grows holds before anything has happened."""
    if plan.check not in _GROWING or plan.at is not None or plan.always is not None:
        return
    bounds = {
        ("times",): plan.bound,
        ("bytes", "sent"): plan.sent,
        ("bytes", "received"): plan.received,
    }
    for where, bound in bounds.items():
        if bound is not None and not bound.least:
            context.note(
                (*loc, *where),
                "that holds before anything has happened",
                "add `at: 10s`, or `always: rest` to see that it never becomes more",
            )
            return


def _when(plan: ExpectationPlan, model: AnyExpectationModel) -> str:
    since = "" if model.after is None else f"after {normalize_reference(model.after)}"
    if plan.always is not None:
        if plan.at is not None:
            since = f"from {show_duration(plan.at)} on"
        if plan.always == math.inf:
            return f"all the time {since or 'from the start'}, to the end"
        return f"all the time for {show_duration(plan.always)} {since or 'from the start'}"
    if plan.at is not None:
        return f"at {show_duration(plan.at)}"
    if model.within is None:
        return f"{since}, before the end" if since else "before the end"
    return f"within {show_duration(model.within)} {since}".rstrip()
