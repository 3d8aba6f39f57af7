"""What a network fault has done to packets.

Tested by tests/unit/lab/run/timeline/test_timeline_network.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torrentnet.lab.network.counters import Counters

NO_PACKET: Final = "no packet met it"


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


def _packet_count(number: int) -> str:
    return "1 packet" if number == 1 else f"{number} packets"


def _loss_text(counters: Counters) -> str:
    return f"{counters.lost} of {_packet_count(counters.arrived)} lost ({100 * counters.lost / counters.arrived:.1f} %)"
