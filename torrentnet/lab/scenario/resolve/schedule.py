"""The times of a timeline's items, and the nodes that run then.

Which nodes run is known as far as planned times determine it. An event that changes nothing fails the run; where this
is certain before the run, it is a problem of the file. An event with a condition may happen at any time, so that
nothing is certain of the nodes that it affects.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.timeline import LastingEventModel
from torrentnet.lab.scenario.language.scalars import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.resolve.context import EventRef, ResolveContext

MAX_EVENTS: Final = 1000
"""Events of a scenario, each repetition counted."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An item of the timeline, or one of its repetitions."""

    position: int
    """The item's index in the file."""
    model: AnyEventModel
    at: float | None
    """Seconds after t = 0; None where it waits for a condition."""
    repetition: int = 0


def list_occurrences(context: ResolveContext) -> list[Occurrence]:
    """Return the occurrences of all items, in the order of the file."""
    found: list[Occurrence] = []
    for position, model in context.timeline_items():
        if len(found) > MAX_EVENTS:
            break
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
        text = f"there are more than {MAX_EVENTS} events, repetitions included"
        context.note_key(("timeline",), text, "repeat events less often, or remove some")
        return []
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
                "`from` is the time of the first repetition"
                if model.from_ is not None
                else "without `from` the first repetition is after one interval",
            )
            return []
    lasts = model.for_ if isinstance(model, LastingEventModel) else None
    if isinstance(lasts, str) or (lasts is not None and lasts >= every):
        how_long = "for the rest of the run" if isinstance(lasts, str) else format_duration(lasts)
        context.note(
            (*loc, "for"),
            f"the event lasts {how_long}, and the next repetition begins after {format_duration(every)}",
            "write less than `every`",
        )
    if last == math.inf:
        return [first]
    # A repetition at the time limit itself would have no effect; only an explicit `until` asks for it.
    count = math.floor(round((last - first) / every, 9)) + 1
    times = [round(first + number * every, 3) for number in range(min(count, MAX_EVENTS + 1))]
    return times if model.until is not None or len(times) < 2 else [at for at in times if at < last]


def resolve_duration(
    context: ResolveContext, loc: KeyPath, model: AnyEventModel, at: float | None
) -> tuple[float | None, str]:
    """Return the seconds that an event lasts, and its duration in words.

    The seconds are None where they are not known.
    """
    if not isinstance(model, LastingEventModel):
        return None, ""
    if model.until is not None and model.every is None:
        context.check_time_limit((*loc, "until"), model.until, format_duration(model.until))
        if at is None:
            return None, f" until {format_duration(model.until)}"
        if model.until <= at:
            context.note(
                (*loc, "until"),
                f"the event would end at {format_duration(model.until)}, but begins at {format_duration(at)}",
                "`until` counts from t = 0; `for` counts from the event",
            )
        lasts = round(model.until - at, 3)
        return lasts, f" for {format_duration(lasts)}"
    if model.for_ is None or isinstance(model.for_, str):
        return None, " for the rest of the run"
    return model.for_, f" for {format_duration(model.for_)}"


_PARTICIPLES: Final = {"kill": "killed", "stop": "stopped"}
LIFECYCLE_VERBS: Final = frozenset({"kill", "stop", "pause", "restart", "start"})
COMMAND_VERBS: Final = frozenset({"run", "console"})
_NEED_A_PROCESS: Final = COMMAND_VERBS | {"pause"}
"""Verbs that cannot affect a node that has ended or is paused."""


class NodeLifecycles:
    """The nodes that run or are paused at a time.

    Only the events with a planned time are considered.
    """

    def __init__(self, context: ResolveContext, uncertain: Iterable[str], *, healed: bool) -> None:
        """Begin with all nodes as they are at t = 0.

        ``uncertain`` are the nodes that an event with ``when`` affects; with ``healed`` a pause may end early.
        """
        self._context = context
        self._uncertain = frozenset(uncertain)
        self._healed = healed
        self._ended: dict[str, EventRef] = {}
        self._paused: dict[str, tuple[float, EventRef]] = {}

    def can_affect(self, verb: str, name: str, at: float) -> bool:
        """Return whether an event could affect the node at that time.

        Random choices are made among such nodes.
        """
        if name in self._uncertain:
            return True
        if at < self._context.nodes[name].start:
            return False
        if verb == "start":
            return name in self._ended
        if verb == "restart":
            return True
        return name not in self._ended and not (verb in _NEED_A_PROCESS and self._pause_of(name, at))

    def apply(self, event: EventRef, at: float) -> None:
        """Apply an event to the states of its nodes.

        For a node that the event cannot affect, record a problem instead.
        """
        if event.verb not in LIFECYCLE_VERBS | COMMAND_VERBS or event.source_of:
            return
        place = (*event.loc, "node" if event.verb in COMMAND_VERBS else event.verb)
        for name in event.nodes:
            if name not in self._uncertain and self._check(place, event, at, name) and event.verb in LIFECYCLE_VERBS:
                self._update(event, at, name)

    def _check(self, place: KeyPath, event: EventRef, at: float, name: str) -> bool:
        start = self._context.nodes[name].start
        if at < start:
            self._context.note(
                place, f"`{name}` starts later, at {format_duration(start)}", f"{event.verb} it after that"
            )
            return False
        ended = self._ended.get(name)
        if ended is not None and event.verb not in {"start", "restart"}:
            self._context.note(
                place,
                f"`{name}` was {_PARTICIPLES[ended.verb]} at {format_duration(ended.at or 0.0)} already",
                f"start it before: `start: {name}`",
            )
            return False
        paused = self._pause_of(name, at)
        if paused is not None and event.verb in _NEED_A_PROCESS:
            self._context.note(
                place,
                f"`{name}` is paused from {format_duration(paused.at or 0.0)} on, "
                + (f"for {format_duration(paused.lasts)}" if paused.lasts is not None else "for the rest of the run"),
                "nothing runs in a paused node",
            )
            return False
        return True

    def _pause_of(self, name: str, at: float) -> EventRef | None:
        end, event = self._paused.get(name, (0.0, None))
        return event if at < end and not self._healed else None

    def _update(self, event: EventRef, at: float, name: str) -> None:
        self._paused.pop(name, None)
        if event.verb == "pause":
            self._paused[name] = (math.inf if event.lasts is None else at + event.lasts, event)
        elif event.verb in _PARTICIPLES:
            self._ended[name] = event
        else:
            self._ended.pop(name, None)
