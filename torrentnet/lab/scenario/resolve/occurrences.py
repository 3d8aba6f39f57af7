"""When the items of a timeline happen: at a time, repeatedly, or after a condition; and how long they last.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.timeline import LastingEventModel
from torrentnet.lab.scenario.language.units import format_duration

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.resolve.context import ResolveContext

MAX_EVENTS: Final = 1000
"""Events of a scenario, each repetition counted."""
_NOUNS: Final = {
    "pause": "the pause",
    "partition": "the partition",
    "isolate": "the isolation",
    "impair": "the impairment",
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An item of the timeline, or one of its repetitions."""

    position: int
    """In the file."""
    model: AnyEventModel
    at: float | None
    """Seconds after t = 0; None where it waits for a condition."""
    repetition: int = 0
    """From 0."""


def list_occurrences(context: ResolveContext) -> list[Occurrence]:
    """Return everything that happens, in the order of the file."""
    found: list[Occurrence] = []
    for position, model in context.timeline_items():
        loc: KeyPath = ("timeline", position)
        if model.every is not None:
            times = _repetitions(context, loc, model)
            found += [Occurrence(position, model, at, number) for number, at in enumerate(times)]
        elif model.at is not None:
            context.check_time_limit((*loc, "at"), model.at, format_duration(model.at))
            found.append(Occurrence(position, model, model.at))
        elif model.when is not None:
            found.append(Occurrence(position, model, None))
    if len(found) > MAX_EVENTS:
        context.note(
            ("timeline",),
            f"there are {len(found)} events, repetitions included; at most {MAX_EVENTS} are allowed",
            at_value=False,
        )
    return found


def _repetitions(context: ResolveContext, loc: KeyPath, model: AnyEventModel) -> list[float]:
    """Return the seconds at which an item with ``every`` happens."""
    every = model.every or 0.0
    first = every if model.from_ is None else model.from_
    context.check_time_limit(
        (*loc, "every" if model.from_ is None else "from"), first, f"the first repetition at {format_duration(first)}"
    )
    last = context.limit
    if model.until is not None:
        context.check_time_limit((*loc, "until"), model.until, format_duration(model.until))
        last = model.until
        if last < first:
            context.note(
                (*loc, "until"),
                f"the repetitions would end at {format_duration(last)}, before the first at {format_duration(first)}",
                "`from` is the first time"
                if model.from_ is not None
                else "without `from` the first is after one interval",
            )
            return []
    lasts = model.for_ if isinstance(model, LastingEventModel) else None
    if isinstance(lasts, str) or (lasts is not None and lasts >= every):
        how_long = "for the rest of the run" if isinstance(lasts, str) else format_duration(lasts)
        context.note(
            (*loc, "for"),
            f"it lasts {how_long}, and the next one begins after {format_duration(every)}",
            "write less than `every`",
        )
    if last == math.inf:
        return [first]
    # A repetition at the time limit itself would have no effect; only an explicit `until` asks for it.
    count = math.floor(round((last - first) / every, 9)) + 1
    times = [round(first + number * every, 3) for number in range(min(count, MAX_EVENTS + 1))]
    return times if model.until is not None or len(times) < 2 else [at for at in times if at < last]


def resolve_duration(
    context: ResolveContext, loc: KeyPath, model: AnyEventModel, verb: str, at: float | None
) -> tuple[float | None, str]:
    """Return how many seconds an event lasts, as far as it is known, and the same in words."""
    if not isinstance(model, LastingEventModel):
        return None, ""
    if model.until is not None and model.every is None:
        context.check_time_limit((*loc, "until"), model.until, format_duration(model.until))
        if at is None:
            return None, f" until {format_duration(model.until)}"
        if model.until <= at:
            context.note(
                (*loc, "until"),
                f"it would end at {format_duration(model.until)}, and begins only at {format_duration(at)}",
                "`until` counts from t = 0; `for` counts from the event",
            )
        lasts = round(model.until - at, 3)
        return lasts, f" for {format_duration(lasts)}"
    if model.for_ is None or isinstance(model.for_, str):
        return None, " for the rest of the run"
    return model.for_, f" for {format_duration(model.for_)}"
