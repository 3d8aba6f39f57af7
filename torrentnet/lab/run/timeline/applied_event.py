"""What came of each item of a timeline, for a person and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.lab.run.timeline.fault_counts import FaultCounts


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """What a command in a node has printed."""

    node: str
    status: int | None
    """None where it could not be run, or did not end."""
    text: str


@dataclass(frozen=True, slots=True)
class AppliedEvent:
    """What came of one item of the timeline. Times are seconds after t = 0."""

    text: str
    """As the scenario says it; ``resume seeder-2``, ``end of partition a | b`` for an undoing."""
    verb: str
    nodes: tuple[str, ...]
    planned: float
    began: float
    applied: float
    index: int | None = None
    """Of the scenario's event; None for a start that the plan has, and for an undoing."""
    where: str = ""
    error: str = ""
    """Why it changed nothing, or why the engine could not do it."""
    hint: str = ""
    set_in: tuple[str, ...] = ()
    """The nodes whose rules an event of the network has changed at once; nodes that were not up get theirs later."""
    measured: FaultCounts | None = None
    """What the network has counted while a patch was in force; None until it is over."""
    outputs: tuple[NodeOutput, ...] = field(default=())
    """What the commands of ``run`` and ``console`` have printed."""

    def line(self) -> str:
        """What a person is told when it happens."""
        if self.error:
            return self.error
        if self.measured is not None and (counted := self.measured.text()):
            return f"{self.text}: {counted}"
        return self.text

    def row(self) -> dict[str, object]:
        """As ``result.json`` has it, and ``events.jsonl``."""
        row: dict[str, object] = {
            "text": self.text,
            "nodes": list(self.nodes),
            "planned": round(self.planned, 3),
            "began": round(self.began, 3),
            "applied": round(self.applied, 3),
            "event": self.index,
            "error": self.error or None,
        }
        if self.set_in:
            row["set_in"] = list(self.set_in)
        if self.measured is not None:
            row["measured"] = self.measured.row()
        if self.outputs:
            row["outputs"] = [{"node": one.node, "status": one.status, "text": one.text} for one in self.outputs]
        return row
