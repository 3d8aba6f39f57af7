"""The items of a timeline, their effects, and their records.

Tested by tests/unit/lab/run/timeline/test_timeline.py and tests/unit/lab/run/timeline/test_network_faults.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.override_rows import pairs_row, qualities_row
from torrentnet.lab.scenario.plan.events import CommandPlan, HealPlan, NetworkFaultPlan, PausePlan

if TYPE_CHECKING:
    from torrentnet.lab.network.counters import Counters
    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.qualities import LinkOverride

UNDO: Final = "undo"
EXPIRE: Final = "expire"
NETWORK_LANE: Final = "network"
NO_PACKET: Final = "no packet met it"
NO_EFFECT_HINT: Final = "a fault that hits nothing proves nothing; move the event or name another"

NO_SOURCE_HINT: Final = "let the event wait until the node downloads, as in `when: leecher-1 has 20% of myfile.txt`"


@dataclass(frozen=True, slots=True)
class FaultCounts:
    """The packets of a link override's pairs, counted while it was in force."""

    counters: Counters
    cuts: bool
    loses: bool
    shapes: bool
    missing: tuple[str, ...] = ()
    """Nodes whose counters are lost, because they ended."""

    def text(self) -> str:
        """Return the counts for a person; empty where nothing can be counted."""
        counters, parts = self.counters, []
        if self.cuts:
            parts.append(f"{_packet_count(counters.lost)} stopped" if counters.lost else NO_PACKET)
        elif self.loses:
            parts.append(_loss_text(counters) if counters.arrived else NO_PACKET)
        if self.shapes and (counters.sent or counters.overflowed):
            parts.append(f"{_packet_count(counters.sent)} sent, {counters.overflowed} dropped by a full queue")
        elif self.shapes and NO_PACKET not in parts:
            parts.append(NO_PACKET)
        if parts and self.missing:
            parts.append(f"not counted in {', '.join(self.missing)}")
        return "; ".join(parts)

    def row(self) -> dict[str, object]:
        """Return the counts for ``result.json``."""
        counters = self.counters
        row: dict[str, object] = {"text": self.text()}
        if self.cuts or self.loses:
            row |= {"arrived": counters.arrived, "lost": counters.lost, "lost_bytes": counters.lost_bytes}
        if self.shapes:
            row |= {"sent": counters.sent, "sent_bytes": counters.sent_bytes, "overflowed": counters.overflowed}
        if self.missing:
            row["missing"] = list(self.missing)
        return row


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """The output of a command in a node."""

    node: str
    status: int | None
    """None where the command could not be run, or did not end."""
    text: str


@dataclass(frozen=True, slots=True)
class UndoneEvent:
    """A lasting event that has been undone."""

    index: int
    resumed: tuple[str, ...] = ()
    measured: FaultCounts | None = None
    override: int | None = None
    """The number of the link override that was removed."""


@dataclass(frozen=True, slots=True)
class EventEffect:
    """The effect of an event."""

    error: str = ""
    hint: str = ""
    set_in: tuple[str, ...] = ()
    outputs: tuple[NodeOutput, ...] = ()
    override: int | None = None
    """The number of the link override that it has put in force."""
    undone: tuple[UndoneEvent, ...] = ()
    """The events that a ``heal`` has undone."""


@dataclass(frozen=True, slots=True)
class AppliedEvent:
    """The record of one item of the timeline. Times are seconds after t = 0."""

    text: str
    """As the scenario writes it; ``resume seeder-2`` or ``end of partition a | b`` for an undone event."""
    verb: str
    nodes: tuple[str, ...]
    planned: float
    began: float
    applied: float
    index: int | None = None
    """Of the scenario's event; None for a node's planned start and for the end of a lasting event."""
    where: str = ""
    error: str = ""
    """Why it changed nothing, or why the engine could not apply it."""
    hint: str = ""
    set_in: tuple[str, ...] = ()
    """The nodes whose rules a network event has changed at once; nodes that were not up get theirs later."""
    measured: FaultCounts | None = None
    """The packets counted while a network fault was in force; None until it ends."""
    outputs: tuple[NodeOutput, ...] = ()
    """The output of ``run`` and ``console``."""
    announced: bool = False
    """Whether a person was told when it began."""
    name: str = ""
    """The event's name in the scenario, or empty."""
    override: LinkOverride | None = None
    """What a network fault changes."""
    fault: int | None = None
    """The number of the link override that it has put in force."""
    ended: float | None = None
    """When what it has changed was undone; None where it lasts, or nothing can be undone."""
    ends: int | None = None
    """The ``fault`` that it has ended."""

    def line(self) -> str:
        """Return the line that a person sees; empty where it would say nothing new."""
        if self.error:
            return self.error
        if self.measured is not None and (counted := self.measured.text()):
            return f"{self.text}: {counted}"
        return "" if self.announced else self.text

    def row(self) -> dict[str, object]:
        """Return the record for ``result.json`` and ``events.jsonl``."""
        row: dict[str, object] = {
            "text": self.text,
            "kind": self.verb,
            "name": self.name or None,
            "nodes": list(self.nodes),
            **override_fields(self.override),
            "planned": round(self.planned, 3),
            "began": round(self.began, 3),
            "applied": round(self.applied, 3),
            "ended": None if self.ended is None else round(self.ended, 3),
            "event": self.index,
            "fault": self.fault,
            "ends": self.ends,
            "where": self.where or None,
            "error": self.error or None,
        }
        if self.set_in:
            row["set_in"] = list(self.set_in)
        if self.measured is not None:
            row["measured"] = self.measured.row()
        if self.outputs:
            row["outputs"] = [{"node": one.node, "status": one.status, "text": one.text} for one in self.outputs]
        return row


@dataclass(frozen=True, slots=True, order=True)
class ScheduledItem:
    """An item of the timeline. Items are sorted by time, then by ``order``."""

    at: float
    """Seconds after t = 0."""
    order: int
    verb: str = field(compare=False)
    """A verb of the scenario language, UNDO or EXPIRE."""
    nodes: tuple[str, ...] = field(compare=False)
    text: str = field(compare=False)
    event: EventPlan | None = field(compare=False, default=None)
    """None for a node's planned start. With UNDO and EXPIRE, the event that ends."""

    def lanes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the lanes in which an item waits, and those that it blocks.

        It waits for the earlier items of the former. The later items of the latter wait for it.
        """
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

    @property
    def announcement(self) -> str:
        """What a person is told when the item begins."""
        if self.verb != UNDO:
            return self.text
        return f"resume {', '.join(self.nodes)}" if isinstance(self.event, PausePlan) else f"end of {self.text}"

    def row(self, began: float) -> dict[str, object]:
        """Return the item as the event ``begun`` of ``events.jsonl``."""
        undo, event = self.verb == UNDO, self.event
        ending = "resume" if isinstance(event, PausePlan) else HealPlan.verb
        return {
            "text": self.announcement,
            "kind": ending if undo else self.verb,
            "nodes": list(self.nodes),
            "planned": round(self.at, 3),
            "began": round(began, 3),
            **({"event": event.index, "where": event.where} if event is not None and not undo else {}),
        }

    def record(self, effect: EventEffect, began: float, now: float) -> AppliedEvent:
        """Return the record of the item, which has been applied from ``began`` to ``now``."""
        return AppliedEvent(
            text=self.text,
            verb=self.verb,
            nodes=self.nodes,
            planned=self.at,
            began=began,
            applied=now,
            index=self.event.index if self.event else None,
            where=self.event.where if self.event else "",
            error=effect.error,
            hint=effect.hint,
            set_in=effect.set_in,
            outputs=effect.outputs,
            announced=True,
            name=self.event.name if self.event else "",
            override=self.event.override if isinstance(self.event, NetworkFaultPlan) else None,
            fault=effect.override,
        )


def record_unapplied(event: EventPlan, reason: str, now: float) -> AppliedEvent:
    """Return the record of an event that will never happen."""
    what = f"`{event.when.text}` {reason}" if event.when is not None else "the run ended before its time"
    return AppliedEvent(
        text=event.text,
        verb=event.verb,
        nodes=event.nodes,
        planned=event.at,
        began=now,
        applied=now,
        index=event.index,
        where=event.where,
        name=event.name,
        override=event.override if isinstance(event, NetworkFaultPlan) else None,
        error=f"{event.text} did not happen: {what}",
        hint="`when` must become true in every run; move it, or raise `time_limit`" if event.when else NO_EFFECT_HINT,
    )


def record_undo(
    event: EventPlan, undone: UndoneEvent, planned: float, began: float, now: float, *, announced: bool
) -> AppliedEvent:
    """Return the record of the end of a lasting event."""
    resumed = bool(undone.resumed)
    return AppliedEvent(
        text=f"resume {', '.join(undone.resumed)}" if resumed else f"end of {event.text}",
        verb="resume" if resumed else HealPlan.verb,
        nodes=undone.resumed if resumed else event.nodes,
        planned=planned,
        began=began,
        applied=now,
        measured=undone.measured,
        announced=announced,
        name=event.name,
        ends=undone.override,
    )


def override_fields(override: LinkOverride | None) -> dict[str, object]:
    """Return what a fault changes: directed pairs of nodes, and their qualities."""
    if override is None:
        return {"pairs": [], "qualities": {}}
    return {"pairs": pairs_row(override.pairs), "qualities": qualities_row(override.qualities)}


def _packet_count(number: int) -> str:
    return "1 packet" if number == 1 else f"{number} packets"


def _loss_text(counters: Counters) -> str:
    return f"{counters.lost} of {_packet_count(counters.arrived)} lost ({100 * counters.lost / counters.arrived:.1f} %)"
