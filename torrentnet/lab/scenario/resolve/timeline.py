"""The timeline: which nodes each event affects, and the plan of each event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypedDict

from torrentnet.lab.scenario.language.models.links import DirectionModel
from torrentnet.lab.scenario.language.models.timeline import (
    EVENT_MODELS,
    CommandEventModel,
    HealModel,
    ImpairModel,
    IsolateModel,
    LastingEventModel,
    PartitionModel,
    PauseModel,
)
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.language.selectors import Selector
from torrentnet.lab.scenario.plan.events import (
    ConsolePlan,
    HealPlan,
    ImpairPlan,
    IsolatePlan,
    KillPlan,
    PartitionPlan,
    PausePlan,
    RestartPlan,
    RunPlan,
    StartPlan,
    StopPlan,
)
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities
from torrentnet.lab.scenario.resolve.context import EventRef
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
from torrentnet.lab.scenario.resolve.references import earliest_times, healed_events, resolve_triggers
from torrentnet.lab.scenario.resolve.schedule import (
    LIFECYCLE_VERBS,
    NodeLifecycles,
    Occurrence,
    list_occurrences,
    resolve_duration,
)

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.plan.events import EventPlan, Trigger
    from torrentnet.lab.scenario.resolve.context import ResolveContext
    from torrentnet.lab.scenario.resolve.links import Select

_SIMPLE: Final = {plan.verb: plan for plan in (KillPlan, StopPlan, StartPlan, RestartPlan)}
_COMMANDS: Final = {plan.verb: plan for plan in (RunPlan, ConsolePlan)}
_FAULTS: Final = {fault.verb: fault for fault in (PartitionPlan, IsolatePlan, ImpairPlan)}
_VERBS: Final = {model: verb for verb, model in EVENT_MODELS.items()}


def resolve_timeline(context: ResolveContext) -> tuple[EventPlan, ...]:
    """Return the events of the timeline, and set the context's ``refs``.

    Those with a planned time come first.
    """
    occurrences = list_occurrences(context)
    _check_names(context)
    timed = sorted((found for found in occurrences if found.at is not None), key=lambda one: (one.at, one.position))
    waiting = [found for found in occurrences if found.at is None]
    later = [_refer(context, one, len(timed) + index, None) for index, one in enumerate(waiting)]
    uncertain = {name for ref in later if ref.verb in LIFECYCLE_VERBS for name in ref.nodes}
    if any(_affects_a_source(model) for model in context.draft.scenario.timeline):
        uncertain.update(context.nodes)
    healed = any(isinstance(model, HealModel) for model in context.draft.scenario.timeline)
    lifecycles = NodeLifecycles(context, uncertain, healed=healed)
    for occurrence in timed:
        ref = _refer(context, occurrence, len(context.refs), lifecycles)
        lifecycles.apply(ref, occurrence.at or 0.0)
        context.refs.append(ref)
    context.refs += later
    triggers = resolve_triggers(context)
    times = earliest_times(context, triggers)
    return tuple(_plan(context, ref, times[ref.index], triggers.get(ref.index)) for ref in context.refs)


def _refer(
    context: ResolveContext,
    occurrence: Occurrence,
    index: int,
    lifecycles: NodeLifecycles | None,
    source: str = "",
) -> EventRef:
    """Return the event with its nodes and its description.

    ``source`` is the node that ``source of`` is taken for; by default all that can be.
    """
    model, loc = occurrence.model, ("timeline", occurrence.position)
    verb = _VERBS[type(model)]
    at = 0.0 if occurrence.at is None else occurrence.at
    salt = f"/{occurrence.repetition}" if occurrence.repetition else ""
    able = None if lifecycles is None else lambda name: lifecycles.can_affect(verb, name, at)
    chosen: dict[str, None] = {}
    sought: dict[str, tuple[str, ...]] = {}
    """Node -> the nodes that can be its source."""

    def select(selector: Selector, place: KeyPath) -> tuple[str, ...]:
        if selector.source_of:
            node, candidates = context.sources(selector, place)
            sought.setdefault(node, candidates)
            if len(sought) > 1:
                context.note(place, "an event can affect the source of one node only", "write two events")
            return (source,) if source else candidates[:1] if verb in _FAULTS else candidates
        nodes = context.select(selector, place, salt=salt, able=able)
        if selector.random:
            chosen.update(dict.fromkeys(nodes))
        return nodes

    lasts, duration = resolve_duration(context, loc, model, occurrence.at)
    nodes: tuple[str, ...] = ()
    override: LinkOverride | None = None
    names: tuple[str, ...]
    match model:
        case HealModel():
            names = (f"heal {', '.join(model.heal)}",)
        case CommandEventModel():
            command = getattr(model, verb)
            names = (f"{verb} {command}", f"{verb} {command} in {model.node}")
            nodes = select(model.node, (*loc, "node"))
        case PartitionModel() | IsolateModel() | ImpairModel():
            override, names = _override(context, (*loc, verb), model, select)
            affected = nodes_of(override.pairs)
            nodes = tuple(name for name in context.directory.nodes if name in affected)
        case _:
            selector = getattr(model, verb)
            assert isinstance(selector, Selector)
            names = (f"{verb} {selector}",)
            nodes = select(selector, (*loc, verb))
    # The file alone does not show which nodes were chosen at random.
    text = names[-1] + (f" ({', '.join(chosen)})" if chosen else "") + duration
    moment = f"at {format_duration(at)}" if occurrence.at is not None else f"when {model.when}"
    own = (model.name,) if model.name else ()
    every = tuple(
        dict.fromkeys((*own, *names, names[-1] + duration, *(f"{one} {moment}" for one in (*own, *names[:1]))))
    )
    source_of, candidates = next(iter(sought.items())) if len(sought) == 1 else ("", ())
    return EventRef(
        index,
        occurrence.position,
        model,
        verb,
        occurrence.at,
        lasts,
        candidates if source_of and not source else nodes,
        override,
        text,
        every,
        occurrence.repetition,
        source_of,
    )


def _override(
    context: ResolveContext, place: KeyPath, model: PartitionModel | IsolateModel | ImpairModel, select: Select
) -> tuple[LinkOverride, tuple[str, ...]]:
    """Return a network fault's override, and the texts that refer to the fault."""
    qualities = LinkQualities(cut=True)
    match model:
        case ImpairModel():
            direction = model.impair
            names: tuple[str, ...] = (
                f"impair {describe_direction(direction)}",
                f"impair {describe_impairment(direction)}",
            )
            pairs = direction_pairs(context, place, direction, select)
            qualities = qualities_of(context, place, direction)
        case (
            IsolateModel(isolate=DirectionModel() as direction)
            | PartitionModel(partition=DirectionModel() as direction)
        ):
            names = (f"{place[-1]} {describe_direction(direction)}",)
            pairs = direction_pairs(context, place, direction, select)
        case IsolateModel():
            assert isinstance(model.isolate, Selector)
            names = (f"isolate {model.isolate}",)
            pairs = isolation_pairs(context, select(model.isolate, place))
        case _:
            assert isinstance(model.partition, tuple)
            names = (f"partition {describe_sides(model.partition)}",)
            pairs = partition_pairs(context, place, model.partition, select)
    return LinkOverride(pairs, qualities, names[-1]), names


def _check_names(context: ResolveContext) -> None:
    seen: dict[str, int] = {}
    for position, model in context.timeline_items():
        if model.name is not None and seen.setdefault(model.name, position) != position:
            context.note(
                ("timeline", position, "name"),
                f"timeline[{seen[model.name]}] has the name `{model.name}` already",
                "choose another name",
            )


class _Common(TypedDict):
    index: int
    at: float
    nodes: tuple[str, ...]
    text: str
    where: str
    when: Trigger | None
    name: str
    source_of: str
    choices: tuple[EventPlan, ...]


class _Duration(TypedDict):
    lasts: float | None
    until: float | None


def _choices(context: ResolveContext, ref: EventRef) -> list[EventRef]:
    """Return the event once for each node that can be the source that it affects."""
    if not ref.source_of:
        return []
    occurrence = Occurrence(ref.position, ref.model, ref.at, ref.repetition)
    choices = [_refer(context, occurrence, ref.index, None, node) for node in ref.nodes]
    return [replace(one, source_of="", text=ref.text) for one in choices]


def _affects_a_source(model: AnyEventModel) -> bool:
    verb = _VERBS[type(model)]
    selector = getattr(model, verb)
    return verb in LIFECYCLE_VERBS and isinstance(selector, Selector) and bool(selector.source_of)


def _plan(context: ResolveContext, ref: EventRef, at: float, trigger: Trigger | None) -> EventPlan:
    model = ref.model
    common: _Common = {
        "index": ref.index,
        "at": at,
        "nodes": ref.nodes,
        "text": ref.text,
        "where": context.draft.document.where(ref.loc),
        "when": trigger,
        "name": model.name or "",
        "source_of": ref.source_of,
        "choices": tuple(_plan(context, one, at, trigger) for one in _choices(context, ref)),
    }
    until = model.until if ref.at is None and isinstance(model, LastingEventModel) else None
    duration: _Duration = {"lasts": ref.lasts, "until": until}
    match model:
        case CommandEventModel():
            return _COMMANDS[ref.verb](**common, command=getattr(model, ref.verb))
        case PauseModel():
            return PausePlan(**common, **duration)
        case PartitionModel() | IsolateModel() | ImpairModel():
            assert ref.override is not None
            return _FAULTS[ref.verb](**common, **duration, override=ref.override)
        case HealModel():
            ends, common["nodes"] = healed_events(context, ref, model)
            return HealPlan(**common, ends=ends)
        case _:
            return _SIMPLE[ref.verb](**common)
