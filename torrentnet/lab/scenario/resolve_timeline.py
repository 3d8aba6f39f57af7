"""The timeline: who is hit by each event, and whether there will be something to hit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torrentnet.lab.plan import EventPlan, Verb
from torrentnet.lab.scenario.selectors import Selector
from torrentnet.lab.scenario.timeline import VERBS, Pause
from torrentnet.lab.scenario.types import REST
from torrentnet.lab.scenario.units import show_duration

if TYPE_CHECKING:
    from torrentnet.lab.scenario.document import Loc
    from torrentnet.lab.scenario.resolve import Context
    from torrentnet.lab.scenario.timeline import AnyEvent

_ENDS = {Verb.KILL: "killed", Verb.STOP: "stopped"}
_DONE = {**_ENDS, Verb.PAUSE: "paused", Verb.RESTART: "restarted", Verb.START: "started"}


def resolve_timeline(context: Context) -> tuple[EventPlan, ...]:
    """The events in the order in which they happen; an event's index is its place in that order."""
    drafts = sorted(
        zip(context.draft.timeline, context.draft.scenario.timeline, strict=True),
        key=lambda draft: (draft[1].at, draft[0]),
    )
    down: dict[str, EventPlan] = {}
    events: list[EventPlan] = []
    for position, model in drafts:
        loc: Loc = ("timeline", position)
        event = _event(context, loc, len(events), model)
        _check_times(context, loc, event, model)
        _check_state(context, loc, event, down)
        events.append(event)
    return tuple(events)


def verb_of(model: AnyEvent) -> tuple[Verb, Selector]:
    """What the event does, and to whom."""
    name = next(name for name, kind in VERBS.items() if isinstance(model, kind))
    selector = getattr(model, name)
    assert isinstance(selector, Selector)
    return Verb(name), selector


def normal(text: str) -> str:
    """An event's text as it is compared: ``kill [a,  b]`` is ``kill a, b``."""
    text = re.sub(r"[\[\]]", " ", text)
    return re.sub(r"\s*,\s*", ", ", " ".join(text.split()))


def event_texts(event: EventPlan) -> tuple[str, str, str]:
    """The texts by which an expectation may refer to an event, from the shortest to the most exact."""
    short = event.text.removesuffix(_lasting(event.lasts)) if event.verb is Verb.PAUSE else event.text
    return short, event.text, f"{short} at {show_duration(event.at)}"


def _event(context: Context, loc: Loc, index: int, model: AnyEvent) -> EventPlan:
    verb, selector = verb_of(model)
    lasts: float | None = None
    text = f"{verb} {selector}"
    if isinstance(model, Pause):
        if model.until is not None:
            lasts = round(model.until - model.at, 3)
        elif model.for_ != REST and model.for_ is not None:
            lasts = float(model.for_)
        text += _lasting(lasts)
    return EventPlan(
        index=index,
        at=model.at,
        verb=verb,
        nodes=context.select(selector, (*loc, str(verb))),
        lasts=lasts,
        text=text,
        where=context.draft.document.where(loc),
    )


def _lasting(lasts: float | None) -> str:
    return " for the rest" if lasts is None else f" for {show_duration(lasts)}"


def _check_times(context: Context, loc: Loc, event: EventPlan, model: AnyEvent) -> None:
    context.past_limit((*loc, "at"), event.at, show_duration(event.at))
    if isinstance(model, Pause) and model.until is not None:
        context.past_limit((*loc, "until"), model.until, show_duration(model.until))
        if model.until <= event.at:
            context.note(
                (*loc, "until"),
                f"the pause would end at {show_duration(model.until)}, before it begins at {show_duration(event.at)}",
                "`until` counts from t = 0; `for` counts from the event",
            )


def _check_state(context: Context, loc: Loc, event: EventPlan, down: dict[str, EventPlan]) -> None:
    """An event that cannot change anything would fail the run; what is certain before it is said before it."""
    place = (*loc, str(event.verb))
    for name in event.nodes:
        node = context.nodes[name]
        if event.at < node.start:
            context.note(
                place,
                f"`{name}` starts at {show_duration(node.start)}, which is later: there is nothing to {event.verb}",
            )
            continue
        ended = down.get(name)
        if event.verb in {Verb.START, Verb.RESTART}:
            down.pop(name, None)
        elif ended is not None:
            context.note(
                place,
                f"`{name}` was {_DONE[ended.verb]} at {show_duration(ended.at)} already",
                f"`start: {name}` in between would bring it back",
            )
        elif event.verb in _ENDS:
            down[name] = event
