"""What the faults of a lab's network did to a packet that the bridge has seen.

Cuts and losses drop a packet where it arrives, behind the bridge. Of a cut that is in force it is certain, of a random
loss it is not, and neither of a cut while its rules are being set or removed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.scenario.qualities import Pair

NEVER: Final = 1 << 63
"""A time after all others, in nanoseconds since the epoch."""
ALWAYS: Final = -1
"""A time before all others."""
IMPRECISION: Final = 2_000_000
"""Nanoseconds by which a time of the record may differ from that of a packet."""


@dataclass(slots=True)
class NetworkFaultSpan:
    """A fault, and when its rules were set and removed.

    Times are nanoseconds since the epoch.
    """

    name: str
    cut: bool | None
    """Whether it cuts links or repairs them; None where it does neither."""
    loss: float | None
    """Share of packets that it lets be lost, 0 to 1; None where it does not say."""
    began: int = ALWAYS
    applied: int = ALWAYS
    ending: int = NEVER
    ended: int = NEVER

    def state(self, time: int) -> bool | None:
        """Return whether it is in force; None while it is being set or removed."""
        if self.applied <= time < self.ending:
            return True
        return None if self.began <= time < self.ended else False


class FaultHistory:
    """All faults of one lab, by their record."""

    def __init__(self) -> None:
        self._spans: dict[int, NetworkFaultSpan] = {}
        self._by_pair: defaultdict[Pair, list[NetworkFaultSpan]] = defaultdict(list)
        """The latest one last, which wins."""

    def add_links(self, links: Iterable[Mapping[str, Any]]) -> None:
        """Add the scenario's own links, which are in force from the beginning."""
        for link in links:
            self._add(link, _span(link))

    def add_row(self, fields: Mapping[str, Any], zero: int) -> None:
        """Add what the record says of an event that was applied.

        ``zero`` is the time t = 0.

        Rows of another form, and those of events that change no link, have no effect.
        """
        if fields.get("error") or not isinstance(fields.get("began"), int | float):
            return
        began = zero + round(float(fields["began"]) * 1e9) - IMPRECISION
        applied = zero + round(float(fields.get("applied") or fields["began"]) * 1e9) + IMPRECISION
        if (number := fields.get("ends")) is not None:
            span = self._spans.get(int(number))
            if span is not None:
                span.ending, span.ended = began, applied
        elif fields.get("pairs"):
            span = _span(fields)
            span.began, span.applied = began, applied
            self._add(fields, span)
            if (number := fields.get("fault")) is not None:
                self._spans[int(number)] = span

    def _add(self, row: Mapping[str, Any], span: NetworkFaultSpan) -> None:
        if span.cut is not None or span.loss is not None:
            for source, target in row["pairs"]:
                self._by_pair[str(source), str(target)].append(span)

    def mark(self, source: str, target: str, time: int) -> str:
        """Return what happened to a packet between two nodes; empty for nothing.

        ``time`` is when the bridge saw it.
        """
        spans = self._by_pair.get((source, target))
        if not spans:
            return ""
        losing = None
        for span in reversed(spans):
            state = span.state(time)
            if state is False:
                continue
            if span.cut is not None:
                if span.cut and state:
                    return f"stopped on arrival at {target} by {span.name}"
                if span.cut:
                    doing = "set" if time < span.applied else "lifted"
                    return f"may have been stopped on arrival at {target} by {span.name}, which was being {doing}"
            if span.loss is not None and losing is None:
                losing = span
        if losing is not None and losing.loss:
            return f"may have been lost on arrival at {target} ({losing.loss * 100:g} %)"
        return ""


def _span(row: Mapping[str, Any]) -> NetworkFaultSpan:
    qualities = row.get("qualities") or {}
    cut, loss = qualities.get("cut"), qualities.get("loss")
    name = str(row.get("name") or f"`{row.get('text', 'a fault')}`")
    return NetworkFaultSpan(name, None if cut is None else bool(cut), None if loss is None else float(loss))
