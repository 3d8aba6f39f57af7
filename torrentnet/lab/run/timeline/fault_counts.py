"""What a fault has done to packets, for a person and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.lab.network.counters import Counters

NO_PACKET = "no packet met it"


@dataclass(frozen=True, slots=True)
class FaultCounts:
    """What was counted of a patch's pairs while it was in force."""

    counters: Counters
    cuts: bool
    loses: bool
    shapes: bool
    missing: tuple[str, ...] = ()
    """Nodes whose counters have gone with them."""

    def text(self) -> str:
        """For a person; empty where nothing can be counted (what a program in the node does, say)."""
        seen, parts = self.counters, []
        if self.cuts:
            parts.append(f"{_packet_count(seen.lost)} stopped" if seen.lost else NO_PACKET)
        elif self.loses:
            parts.append(_loss_text(seen) if seen.arrived else NO_PACKET)
        if self.shapes and (seen.sent or seen.overflowed):
            parts.append(f"{_packet_count(seen.sent)} sent, {seen.overflowed} dropped by a full queue")
        elif self.shapes and NO_PACKET not in parts:
            parts.append(NO_PACKET)
        if parts and self.missing:
            parts.append(f"not counted in {', '.join(self.missing)}")
        return "; ".join(parts)

    def row(self) -> dict[str, object]:
        """As ``result.json`` has it."""
        seen = self.counters
        row: dict[str, object] = {"text": self.text()}
        if self.cuts or self.loses:
            row |= {"arrived": seen.arrived, "lost": seen.lost, "lost_bytes": seen.lost_bytes}
        if self.shapes:
            row |= {"sent": seen.sent, "sent_bytes": seen.sent_bytes, "overflowed": seen.overflowed}
        if self.missing:
            row["missing"] = list(self.missing)
        return row


def _packet_count(number: int) -> str:
    return "1 packet" if number == 1 else f"{number} packets"


def _loss_text(seen: Counters) -> str:
    return f"{seen.lost} of {_packet_count(seen.arrived)} lost ({100 * seen.lost / seen.arrived:.1f} %)"
