"""One thing that is to happen in a run: when, what it has to wait for, and the record of what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.run.timeline.applied_event import AppliedEvent
from torrentnet.lab.run.timeline.event_executor import NO_EFFECT_HINT
from torrentnet.lab.scenario.plan import CommandPlan, HealPlan, NetworkFaultPlan

if TYPE_CHECKING:
    from torrentnet.lab.run.timeline.event_executor import EventEffect, UndoneEvent
    from torrentnet.lab.scenario.plan import EventPlan

UNDO = "undo"
EXPIRE = "expire"
NETWORK_LANE = "network"


@dataclass(frozen=True, slots=True, order=True)
class ScheduledItem:
    """The earlier one comes first; of two at one time, the one with the lower ``order``."""

    at: float
    """Seconds after t = 0."""
    order: int
    verb: str = field(compare=False)
    """A verb of the scenario language, UNDO or EXPIRE."""
    nodes: tuple[str, ...] = field(compare=False)
    text: str = field(compare=False)
    event: EventPlan | None = field(compare=False, default=None)
    """None for a start that the plan has. With UNDO and EXPIRE, the one that is meant."""

    def lanes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What it waits for, and what later items wait for because of it."""
        match self.event:
            case NetworkFaultPlan():
                return (NETWORK_LANE,), (NETWORK_LANE,)
            case HealPlan():
                both = (NETWORK_LANE, *self.nodes)
                return both, both
            case CommandPlan():
                own = tuple(f"{node} command" for node in self.nodes)
                return (*self.nodes, *own), own
        return self.nodes, self.nodes

    def record(self, done: EventEffect, began: float, now: float) -> AppliedEvent:
        """What came of it, which was begun then and has been applied now."""
        return AppliedEvent(
            text=self.text,
            verb=self.verb,
            nodes=self.nodes,
            planned=self.at,
            began=began,
            applied=now,
            index=self.event.index if self.event else None,
            where=self.event.where if self.event else "",
            error=done.error,
            hint=done.hint,
            set_in=done.set_in,
            outputs=done.outputs,
        )


def record_unapplied(event: EventPlan, why: str, now: float) -> AppliedEvent:
    """The record of an event that has not happened, and will not."""
    what = f"`{event.when.text}` {why}" if event.when is not None else "the run was over before its time"
    return AppliedEvent(
        text=event.text,
        verb=event.verb,
        nodes=event.nodes,
        planned=event.at,
        began=now,
        applied=now,
        index=event.index,
        where=event.where,
        error=f"{event.text} has not happened: {what}",
        hint="`when` must come true in every run; move it, or raise `time_limit`" if event.when else NO_EFFECT_HINT,
    )


def record_undo(event: EventPlan, ended: UndoneEvent, planned: float, began: float, now: float) -> AppliedEvent:
    """The record of an undoing."""
    resumed = bool(ended.resumed)
    return AppliedEvent(
        text=f"resume {', '.join(ended.resumed)}" if resumed else f"end of {event.text}",
        verb="resume" if resumed else HealPlan.verb,
        nodes=ended.resumed if resumed else event.nodes,
        planned=planned,
        began=began,
        applied=now,
        measured=ended.measured,
    )
