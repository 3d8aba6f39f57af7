"""References between events: ``when: after ...`` and ``heal: ...``.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.timeline import LASTING_KEYS, AfterCondition, HasCondition, StateCondition
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.language.selectors import ALL
from torrentnet.lab.scenario.plan.events import (
    AfterTrigger,
    DownTrigger,
    HasTrigger,
    NodeTrigger,
    SeedTrigger,
    UpTrigger,
)
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.lab.scenario.resolve.feasibility import check_source
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import Condition, HealModel, NodeCondition
    from torrentnet.lab.scenario.plan.events import Trigger
    from torrentnet.lab.scenario.resolve.context import EventRef, ResolveContext

_STATE_TRIGGERS: Final = {"up": UpTrigger, "down": DownTrigger, "seed": SeedTrigger}


def find_event(context: ResolveContext, loc: KeyPath, text: str) -> int | None:
    """Return the index of the event to which ``text`` refers.

    Where there is no such event, or several, record a problem and return None.
    """
    found = context.events_called(text)
    if len(found) == 1:
        return found[0].index
    if found:
        names = " or ".join(f"`after: {ref.names[-1]}`" for ref in found[:3])
        context.note(loc, f"`{text}` happens {len(found)} times", f"write {names}")
    elif not any(aside[0] == "timeline" for aside in context.draft.aside):
        texts = list(dict.fromkeys(ref.names[0] for ref in context.refs))
        hint = did_you_mean(text, texts, "there are") if texts else "there is no timeline"
        context.note(loc, f"the timeline has no event `{text}`", hint)
    return None


# -- when ------------------------------------------------------------------------------------------


def resolve_triggers(context: ResolveContext) -> dict[int, Trigger]:
    """Return the triggers of the events that have one, by the event's index."""
    found: dict[int, Trigger] = {}
    for ref in context.refs:
        if ref.model.when is not None and (trigger := _resolve_trigger(context, (*ref.loc, "when"), ref.model.when)):
            found[ref.index] = trigger
    return found


def _resolve_trigger(context: ResolveContext, loc: KeyPath, condition: Condition) -> Trigger | None:
    text = str(condition)
    match condition:
        case AfterCondition():
            event = find_event(context, loc, condition.event)
            return None if event is None else AfterTrigger(text=text, delay=condition.delay, event=event)
        case HasCondition():
            nodes = context.select(condition.nodes, loc)
            _check_peers(context, loc, nodes, condition)
            return HasTrigger(text=text, delay=condition.delay, nodes=nodes, file=condition.file, share=condition.share)
        case StateCondition():
            nodes = context.select(condition.nodes, loc)
            if condition.state == "seed":
                _check_peers(context, loc, nodes, condition)
            return _STATE_TRIGGERS[condition.state](text=text, delay=condition.delay, nodes=nodes)


def _check_peers(context: ResolveContext, loc: KeyPath, nodes: tuple[str, ...], condition: NodeCondition) -> None:
    for name in nodes:
        node = context.nodes[name]
        if node.role is Role.TRACKER:
            context.note(loc, "the tracker is not a peer: it has no file", "name peers or their groups")
            return
        if node.role is Role.RUN:
            context.note(loc, f"`{name}` runs a program without a role: it has no file", "name peers or their groups")
            return
        if isinstance(condition, HasCondition) and node.file != condition.file:
            if condition.file in context.draft.scenario.files:
                verb = "shares" if node.role is Role.SHARE else "gets"
                context.note(loc, f"`{name}` {verb} `{node.file}`, not `{condition.file}`")
            else:
                context.check_file(loc, condition.file)
            return
    check_source(context, loc, nodes)


def earliest_times(context: ResolveContext, triggers: Mapping[int, Trigger]) -> dict[int, float]:
    """Return the earliest possible time of each event, by its index.

    For an event without a trigger it is the event's time.
    """
    refs = context.refs
    known = {ref.index: ref.at or 0.0 for ref in refs if ref.index not in triggers}
    reported: set[int] = set()

    def earliest(index: int) -> float:
        first, waiting = index, dict[int, None]()
        while index not in known:
            if index in waiting:
                if not reported & set(waiting):
                    context.note(
                        (*refs[index].loc, "when"),
                        f"`{refs[index].names[0]}` waits for itself"
                        + (" through other events" if len(waiting) > 1 else ""),
                        "let one event of the cycle wait for something else",
                    )
                reported.update(waiting)
                known.update(dict.fromkeys(waiting, 0.0))
                break
            waiting[index] = None
            trigger = triggers[index]
            if not isinstance(trigger, AfterTrigger):
                break
            index = trigger.event
        # A chain may be longer than Python's stack is deep.
        for later in reversed(waiting):
            if later in known:
                continue
            trigger = triggers[later]
            start = 0.0
            if isinstance(trigger, AfterTrigger):
                start = known[trigger.event]
            elif isinstance(trigger, NodeTrigger):
                start = max((context.nodes[name].start for name in trigger.nodes), default=0.0)
            known[later] = round(start + trigger.delay, 3)
        return known[first]

    for ref in refs:
        at = earliest(ref.index)
        if ref.index in triggers:
            context.check_time_limit((*ref.loc, "when"), at, f"the earliest possible time, {format_duration(at)},")
            if ref.verb in LASTING_KEYS and ref.model.until is not None and ref.model.until <= at:
                end, begin = format_duration(ref.model.until), format_duration(at)
                context.note(
                    (*ref.loc, "until"),
                    f"the event would end at {end}, but cannot begin before {begin}",
                    "`until` counts from t = 0; `for` counts from the event",
                )
    return known


# -- heal ------------------------------------------------------------------------------------------


def healed_events(context: ResolveContext, heal: EventRef, model: HealModel) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the indices of the events that a heal ends, and the affected nodes."""
    loc = (*heal.loc, "heal")
    ended: dict[int, EventRef] = {}
    for index, text in enumerate(model.heal):
        place = (*loc, index) if len(model.heal) > 1 else loc
        named = context.refs if text == ALL else context.events_called(text)
        lasting = [ref for ref in named if ref.verb in LASTING_KEYS]
        if not lasting:
            _note_nothing_lasting(context, place, text, named)
            continue
        in_force = [ref for ref in lasting if _may_be_in_force(ref, heal)]
        if not in_force:
            _note_not_in_force(context, place, heal, text, lasting)
        ended.update({ref.index: ref for ref in in_force})
    affected = {name for ref in ended.values() for name in ref.nodes}
    return tuple(sorted(ended)), tuple(name for name in context.directory.nodes if name in affected)


def _may_be_in_force(fault: EventRef, heal: EventRef) -> bool:
    if fault.at is None or heal.at is None:
        return True
    return fault.index < heal.index and (fault.lasts is None or fault.at + fault.lasts > heal.at)


def _note_nothing_lasting(context: ResolveContext, loc: KeyPath, text: str, named: Sequence[EventRef]) -> None:
    if any(aside[0] == "timeline" for aside in context.draft.aside):
        return
    lasting = [ref for ref in context.refs if ref.verb in LASTING_KEYS]
    if not lasting:
        context.note(loc, "there is nothing to heal: no event of the timeline lasts")
    elif named:
        hint = "`start` starts a node again" if named[0].verb in {"kill", "stop"} else ""
        context.note(loc, f"`{text}` does not last: there is nothing to heal", hint)
    elif touching := _touching(context, text, lasting):
        context.note(
            loc,
            f"`{text}` is not an event: a fault is healed as a whole",
            "write " + " or ".join(f"`heal: {one}`" for one in touching[:3]),
        )
    else:
        texts = dict.fromkeys(ref.names[0] for ref in lasting)
        context.note(loc, f"the timeline has no event `{text}`", did_you_mean(text, texts, "there are"))


def _touching(context: ResolveContext, name: str, lasting: Sequence[EventRef]) -> list[str]:
    nodes = set(context.directory.named(name))
    return list(dict.fromkeys(ref.names[0] for ref in lasting if nodes & set(ref.nodes)))


def _note_not_in_force(
    context: ResolveContext, loc: KeyPath, heal: EventRef, text: str, lasting: Sequence[EventRef]
) -> None:
    at = format_duration(heal.at or 0.0)
    if text == ALL:
        context.note(loc, f"there is nothing to heal at {at}: no event lasts then")
        return
    fault = lasting[-1]
    begins = fault.at or 0.0
    if fault.index > heal.index:
        context.note(loc, f"`{text}` begins later, at {format_duration(begins)}")
    else:
        end = format_duration(begins + (fault.lasts or 0.0))
        context.note(loc, f"`{text}` ends by itself at {end}", "heal it earlier, or write `for: rest`")
