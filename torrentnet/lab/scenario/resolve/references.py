"""What in the timeline refers to other parts of it: ``when: after ...`` and ``heal: ...``.

Done when all events are known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.messages import did_you_mean
from torrentnet.lab.scenario.language.models.timeline import HealModel
from torrentnet.lab.scenario.language.selectors import ALL
from torrentnet.lab.scenario.language.units import show_duration
from torrentnet.lab.scenario.plan import LASTING_VERBS, Role, Trigger, TriggerKind, Verb
from torrentnet.lab.scenario.resolve.event_refs import EventRef, find_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torrentnet.lab.scenario.language.conditions import Condition
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.plan import EventPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext


def resolve_references(
    context: ResolveContext, events: Sequence[EventRef], models: Mapping[int, AnyEventModel]
) -> tuple[EventRef, ...]:
    """The events with their triggers and with what they heal; ``models`` by their position in the file."""
    found: list[EventRef] = []
    for said in events:
        condition, event = models[said.position].when, said.event
        if condition is not None:
            when = _trigger(context, ("timeline", said.position, "when"), condition, events)
            event = replace(event, when=when)
        found.append(replace(said, event=event))
    for index, said in enumerate(found):
        model = models[said.position]
        if isinstance(model, HealModel):
            event = _healing(context, ("timeline", said.position, "heal"), said.event, model.heal, found)
            found[index] = replace(said, event=event)
    return _with_earliest(context, found)


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _trigger(context: ResolveContext, loc: KeyPath, written: Condition, events: Sequence[EventRef]) -> Trigger:
    trigger = Trigger(written.cause, str(written), delay=written.delay)
    if written.who is None:
        other = find_event(context, loc, written.event, events)
        return replace(trigger, after=None if other is None else other.index)
    nodes = context.select(written.who, loc)
    if written.cause in {TriggerKind.HAS, TriggerKind.SEED}:
        _peers_of(context, loc, nodes, written)
    return replace(trigger, nodes=nodes, file=written.file or None, share=written.share)


def _peers_of(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], written: Condition) -> None:
    for name in nodes:
        node = context.nodes[name]
        if node.role is Role.TRACKER:
            context.note(loc, "the tracker is no peer: it has no file", "name peers or their groups")
            return
        if written.cause is TriggerKind.HAS and node.file != written.file:
            if written.file in context.draft.scenario.files:
                verb = "shares" if node.role is Role.SHARE else "gets"
                context.note(loc, f"`{name}` {verb} `{node.file}`, not `{written.file}`")
            else:
                context.file_known(loc, written.file)
            return


def _with_earliest(context: ResolveContext, events: Sequence[EventRef]) -> tuple[EventRef, ...]:
    """The waiting events with the earliest second at which each can happen."""
    done: dict[int, float] = {said.event.index: said.event.at for said in events if said.event.when is None}
    told: set[int] = set()

    def earliest(event: EventPlan, waiting: tuple[int, ...]) -> float:
        if event.index in done:
            return done[event.index]
        when = event.when
        assert when is not None
        if event.index in waiting:
            if not told & set(waiting):
                said = events[event.index]
                context.note(
                    ("timeline", said.position, "when"),
                    f"`{said.texts[0]}` waits for itself" + (", by way of others" if len(waiting) > 1 else ""),
                    "one event of the circle has to wait for something else",
                )
            told.update(waiting)
            return 0.0
        if when.after is not None:
            begin = earliest(events[when.after].event, (*waiting, event.index))
        else:
            begin = max((context.nodes[name].start for name in when.nodes), default=0.0)
        done[event.index] = round(begin + when.delay, 3)
        return done[event.index]

    found: list[EventRef] = []
    for said in events:
        at = earliest(said.event, ())
        if said.event.when is not None:
            loc: KeyPath = ("timeline", said.position)
            context.past_limit((*loc, "when"), at, f"{show_duration(at)}, the earliest that it can happen,")
            if said.event.until is not None and said.event.until <= at:
                context.note(
                    (*loc, "until"),
                    f"it would end at {show_duration(said.event.until)}, "
                    f"and it cannot happen before {show_duration(at)}",
                    "`until` counts from t = 0; `for` counts from the event",
                )
        found.append(replace(said, event=replace(said.event, at=at)))
    return tuple(found)


# ── heal ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _healing(
    context: ResolveContext, loc: KeyPath, event: EventPlan, written: tuple[str, ...], events: Sequence[EventRef]
) -> EventPlan:
    """The heal event with what it ends."""
    ended: dict[int, EventPlan] = {}
    for index, text in enumerate(written):
        place = (*loc, index) if len(written) > 1 else loc
        named = [said for said in events if text == ALL or said.is_called(text)]
        lasting = [said for said in named if said.event.verb in LASTING_VERBS]
        if not lasting:
            _nothing_to_heal(context, place, event, text, named, events)
            continue
        there = [said for said in lasting if _may_be_in_force(said.event, event)]
        if not there:
            _ended_already(context, place, event, text, lasting)
        ended.update({said.event.index: said.event for said in there})
    met = {name for one in ended.values() for name in one.nodes}
    nodes = tuple(name for name in context.directory.nodes if name in met)
    return replace(event, heals=tuple(sorted(ended)), nodes=nodes)


def _may_be_in_force(fault: EventPlan, heal: EventPlan) -> bool:
    if fault.when is not None or heal.when is not None or fault.index == heal.index:
        return True
    return fault.index < heal.index and (fault.lasts is None or fault.at + fault.lasts > heal.at)


def _nothing_to_heal(
    context: ResolveContext,
    loc: KeyPath,
    heal: EventPlan,
    text: str,
    named: Sequence[EventRef],
    events: Sequence[EventRef],
) -> None:
    if any(aside[0] == "timeline" for aside in context.draft.aside):
        return
    texts = list(dict.fromkeys(said.texts[0] for said in events if said.event.verb in LASTING_VERBS))
    if not texts:
        context.note(loc, "there is nothing to heal: no event of the timeline lasts")
    elif named:
        hint = "`start` brings back who was ended" if named[0].event.verb in {Verb.KILL, Verb.STOP} else ""
        context.note(loc, f"`{text}` does not last: there is nothing to heal", hint)
    elif touching := _touching(context, text, events):
        context.note(
            loc,
            f"`{text}` is no event: a fault is healed as a whole",
            "write " + " or ".join(f"`heal: {one}`" for one in touching[:3]),
        )
    else:
        context.note(loc, f"no event of the timeline is `{text}`", did_you_mean(text, texts, "there are"))


def _touching(context: ResolveContext, name: str, events: Sequence[EventRef]) -> list[str]:
    nodes = set(context.directory.named(name))
    meeting = [said for said in events if said.event.verb in LASTING_VERBS and nodes & set(said.event.nodes)]
    return list(dict.fromkeys(said.texts[0] for said in meeting))


def _ended_already(
    context: ResolveContext, loc: KeyPath, heal: EventPlan, text: str, lasting: Sequence[EventRef]
) -> None:
    at = show_duration(heal.at)
    if text == ALL:
        context.note(loc, f"nothing lasts at {at}: there is nothing to heal")
        return
    fault = lasting[-1].event
    if fault.index > heal.index:
        context.note(loc, f"`{text}` begins at {show_duration(fault.at)}, after this")
    else:
        end = show_duration(fault.at + (fault.lasts or 0.0))
        context.note(loc, f"`{text}` has ended by itself at {end}", "heal it earlier, or let it last: `for: rest`")
