"""The expectations: of which nodes, by when, and whether they can be met at all.

Tested by tests/unit/lab/scenario/resolve/test_checks.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.models.values import REST_OF_RUN
from torrentnet.lab.scenario.language.units import format_duration
from torrentnet.lab.scenario.plan import (
    Always,
    At,
    BytesCheckPlan,
    LogCheckPlan,
    Severity,
    Within,
)
from torrentnet.lab.scenario.resolve.checks import name_selected_nodes, resolve_check
from torrentnet.lab.scenario.resolve.event_refs import normalize_reference
from torrentnet.lab.scenario.resolve.references import find_event

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.expectations import AnyExpectationModel
    from torrentnet.lab.scenario.plan import EventPlan, ExpectationPlan, Interval, Timing
    from torrentnet.lab.scenario.resolve.context import ResolveContext


def resolve_expectations(context: ResolveContext, events: tuple[EventPlan, ...]) -> tuple[ExpectationPlan, ...]:
    """Return the expectations in the order of the file."""
    plans: list[ExpectationPlan] = []
    for position, model in zip(context.draft.expect, context.draft.scenario.expect, strict=True):
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
        _check_upper_bounds(context, loc, plan)
        plans.append(plan)
    return tuple(plans)


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
        if model.always == REST_OF_RUN or isinstance(model.always, str):
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


def _check_upper_bounds(context: ResolveContext, loc: KeyPath, plan: ExpectationPlan) -> None:
    """Record an ``at most`` of a number that only grows: it holds before anything has happened."""
    if not isinstance(plan.timing, Within):
        return
    intervals: dict[tuple[str, ...], Interval | None] = {}
    if isinstance(plan, LogCheckPlan):
        intervals["times",] = plan.count
    elif isinstance(plan, BytesCheckPlan):
        intervals["bytes", "sent"], intervals["bytes", "received"] = plan.sent, plan.received
    for key, interval in intervals.items():
        if interval is not None and not interval.least:
            context.note(
                (*loc, *key),
                "this holds before anything has happened",
                "add `at: 10s`, or `always: rest` to check that it never becomes more",
            )
            return


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
