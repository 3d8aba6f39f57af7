"""The timeline: when each event happens, whom it meets, and whether there will be something to meet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.models.links import DirectionModel
from torrentnet.lab.scenario.language.models.timeline import (
    EVENT_MODELS,
    CommandEventModel,
    HealModel,
    ImpairModel,
    IsolateModel,
    LastingEventModel,
    PartitionModel,
)
from torrentnet.lab.scenario.language.selectors import Selector
from torrentnet.lab.scenario.language.units import show_duration
from torrentnet.lab.scenario.plan import EventPlan, Verb
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities
from torrentnet.lab.scenario.resolve.event_refs import EventRef
from torrentnet.lab.scenario.resolve.lifecycle import LIFECYCLE_VERBS, NodeLifecycles
from torrentnet.lab.scenario.resolve.links import (
    describe_direction,
    describe_impairment,
    describe_sides,
    direction_pairs,
    isolation_pairs,
    nodes_of,
    partition_pairs,
    qualities_of,
)
from torrentnet.lab.scenario.resolve.references import resolve_references

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.qualities import Pair
    from torrentnet.lab.scenario.resolve.context import ResolveContext
    from torrentnet.lab.scenario.resolve.links import Select

MAX_EVENTS = 1000
"""Events of a scenario, each repetition counted."""
_NOUN = {
    Verb.PAUSE: "the pause",
    Verb.PARTITION: "the partition",
    Verb.ISOLATE: "the isolation",
    Verb.IMPAIR: "the impairment",
}


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """An item of the timeline, or one of its repetitions."""

    position: int
    model: AnyEventModel
    at: float | None
    """None where it waits for something."""
    number: int = 0
    """Of the repetition, from 0."""

    @property
    def loc(self) -> KeyPath:
        return ("timeline", self.position)


def resolve_timeline(context: ResolveContext) -> tuple[EventRef, ...]:
    """The events: by time those that have one, then those that wait for something, in the order of the file."""
    turns = _occurrences(context)
    _check_names(context)
    timed = sorted((turn for turn in turns if turn.at is not None), key=lambda turn: (turn.at, turn.position))
    waiting = [turn for turn in turns if turn.at is None]
    later = [_resolve_event(context, turn, len(timed) + index, None) for index, turn in enumerate(waiting)]
    unsure = {name for said in later if said.event.verb in LIFECYCLE_VERBS for name in said.event.nodes}
    healed = any(isinstance(model, HealModel) for model in context.draft.scenario.timeline)
    lives = NodeLifecycles(context, unsure, healed=healed)
    events: list[EventRef] = []
    for turn in timed:
        said = _resolve_event(context, turn, len(events), lives)
        lives.take(turn.loc, said.event)
        events.append(said)
    models = dict(zip(context.draft.timeline, context.draft.scenario.timeline, strict=True))
    return resolve_references(context, (*events, *later), models)


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _occurrences(context: ResolveContext) -> list[_Occurrence]:
    turns: list[_Occurrence] = []
    for position, model in zip(context.draft.timeline, context.draft.scenario.timeline, strict=True):
        loc: KeyPath = ("timeline", position)
        if model.every is not None:
            turns += [_Occurrence(position, model, at, number) for number, at in enumerate(_times(context, loc, model))]
        elif model.at is not None:
            context.past_limit((*loc, "at"), model.at, show_duration(model.at))
            turns.append(_Occurrence(position, model, model.at))
        elif model.when is not None:
            turns.append(_Occurrence(position, model, None))
    if len(turns) > MAX_EVENTS:
        context.note(
            ("timeline",), f"{len(turns)} events, repetitions included, are more than {MAX_EVENTS}", at_value=False
        )
    return turns


def _times(context: ResolveContext, loc: KeyPath, model: AnyEventModel) -> list[float]:
    """The seconds of an event that is repeated."""
    every = model.every or 0.0
    first = every if model.from_ is None else model.from_
    context.past_limit((*loc, "every" if model.from_ is None else "from"), first, f"the first time, {first:g}s,")
    last = context.limit
    if model.until is not None:
        context.past_limit((*loc, "until"), model.until, show_duration(model.until))
        last = model.until
        if last < first:
            context.note(
                (*loc, "until"),
                f"the repetitions would end at {show_duration(last)}, before the first at {show_duration(first)}",
                "`from` is the first time" if model.from_ is not None else "without `from` it is one interval",
            )
            return []
    lasts = model.for_ if isinstance(model, LastingEventModel) else None
    if isinstance(lasts, str) or (lasts is not None and lasts >= every):
        how_long = "for the rest" if isinstance(lasts, str) else show_duration(lasts)
        context.note(
            (*loc, "for"),
            f"it lasts {how_long} and begins again every {show_duration(every)}: the next begins before one has ended",
            "make it shorter than `every`",
        )
    if last == math.inf:
        return [first]
    # At the time limit itself nothing would follow from it, unless the file says so.
    count = math.floor(round((last - first) / every, 9)) + 1
    times = [round(first + number * every, 3) for number in range(min(count, MAX_EVENTS + 1))]
    return times if model.until is not None or len(times) < 2 else [at for at in times if at < last]


def _end(
    context: ResolveContext, loc: KeyPath, model: AnyEventModel, verb: Verb, at: float | None
) -> tuple[float | None, str]:
    """How long the event lasts, in seconds, and the same in words."""
    if not isinstance(model, LastingEventModel):
        return None, ""
    if model.until is not None and model.every is None:
        context.past_limit((*loc, "until"), model.until, show_duration(model.until))
        if at is None:
            return None, f" until {show_duration(model.until)}"
        if model.until <= at:
            context.note(
                (*loc, "until"),
                f"{_NOUN[verb]} would end at {show_duration(model.until)}, before it begins at {show_duration(at)}",
                "`until` counts from t = 0; `for` counts from the event",
            )
        lasts = round(model.until - at, 3)
        return lasts, f" for {show_duration(lasts)}"
    if model.for_ is None or isinstance(model.for_, str):
        return None, " for the rest"
    return model.for_, f" for {show_duration(model.for_)}"


# ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _resolve_event(context: ResolveContext, turn: _Occurrence, index: int, lives: NodeLifecycles | None) -> EventRef:
    model, loc = turn.model, turn.loc
    verb = next(Verb(name) for name, kind in EVENT_MODELS.items() if isinstance(model, kind))
    at = 0.0 if turn.at is None else turn.at
    salt = f"/{turn.number}" if turn.number else ""
    able = None if lives is None else lambda name: lives.able(verb, name, at)
    chosen: list[str] = []

    def select(selector: Selector, place: KeyPath) -> tuple[str, ...]:
        nodes = context.select(selector, place, salt=salt, able=able)
        if selector.random:
            chosen.extend(nodes)
        return nodes

    lasts, lasting = _end(context, loc, model, verb, turn.at)
    event = EventPlan(
        index=index,
        at=at,
        verb=verb,
        nodes=(),
        lasts=lasts,
        text="",
        where=context.draft.document.where(loc),
        until=model.until if turn.at is None and isinstance(model, LastingEventModel) else None,
        name=model.name or "",
    )
    place = (*loc, str(verb))
    texts: tuple[str, ...]
    match model:
        case HealModel():
            texts = (f"heal {', '.join(model.heal)}",)
        case CommandEventModel():
            command = getattr(model, str(verb))
            texts = (f"{verb} {command}", f"{verb} {command} in {model.node}")
            event = replace(event, command=command, nodes=select(model.node, (*loc, "node")))
        case PartitionModel() | IsolateModel() | ImpairModel():
            pairs, qualities, texts = _override(context, place, model, select)
            met = nodes_of(pairs)
            event = replace(
                event,
                patch=LinkOverride(pairs, qualities, texts[-1]),
                nodes=tuple(name for name in context.directory.nodes if name in met),
            )
        case _:
            selector = getattr(model, str(verb))
            assert isinstance(selector, Selector)
            texts = (f"{verb} {selector}",)
            event = replace(event, nodes=select(selector, place))
    # Nobody knows from the file alone whom chance has chosen.
    text = texts[-1] + (f" ({', '.join(dict.fromkeys(chosen))})" if chosen else "") + lasting
    moment = f"at {show_duration(at)}" if turn.at is not None else f"when {model.when}"
    named = (model.name,) if model.name else ()
    every = dict.fromkeys((*named, *texts, texts[-1] + lasting, *(f"{one} {moment}" for one in (*named, *texts[:1]))))
    return EventRef(replace(event, text=text), tuple(every), turn.position)


def _override(
    context: ResolveContext, place: KeyPath, model: PartitionModel | IsolateModel | ImpairModel, select: Select
) -> tuple[frozenset[Pair], LinkQualities, tuple[str, ...]]:
    """The directed pairs, what is done to them, and the event's texts."""
    cut = LinkQualities(cut=True)
    match model:
        case ImpairModel():
            way = model.impair
            texts = (f"impair {describe_direction(way)}", f"impair {describe_impairment(way)}")
            return direction_pairs(context, place, way, select), qualities_of(context, place, way), texts
        case IsolateModel(isolate=DirectionModel() as way) | PartitionModel(partition=DirectionModel() as way):
            verb = "isolate" if isinstance(model, IsolateModel) else "partition"
            return direction_pairs(context, place, way, select), cut, (f"{verb} {describe_direction(way)}",)
        case IsolateModel():
            assert isinstance(model.isolate, Selector)
            pairs = isolation_pairs(context, select(model.isolate, place))
            return pairs, cut, (f"isolate {model.isolate}",)
        case _:
            assert isinstance(model.partition, tuple)
            text = f"partition {describe_sides(model.partition)}"
            return partition_pairs(context, place, model.partition, select), cut, (text,)


def _check_names(context: ResolveContext) -> None:
    seen: dict[str, int] = {}
    for position, model in zip(context.draft.timeline, context.draft.scenario.timeline, strict=True):
        if model.name is not None and seen.setdefault(model.name, position) != position:
            context.note(
                ("timeline", position, "name"),
                f"the name `{model.name}` is taken by timeline[{seen[model.name]}]",
                "choose another one",
            )
