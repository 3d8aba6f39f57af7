"""The meaning of the lines that nodes print: events, and words for people.

A line counts as an event only where the node's own program may write that event. Of a node whose program the scenario
brings along, events are those of the observer that runs the program; what the program itself prints arrives as the
text of ``said`` events, and is never parsed.

Tested by tests/unit/lab/run/facts/test_line_reader.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.lab.scenario.printed_events import prints
from torrentnet.runtime.event_table import EVENTS, LAB
from torrentnet.runtime.events import parse_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.engines.types import LogLine
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.runtime.events import Event

SAID: Final = "said"
PEER_ADDRESSES: Final = {
    "pair": ("peer",),
    "sighted": ("from", "to"),
    "dialled": ("address",),
    "completed": ("sources",),
}
"""Events of an observer, with their fields that hold other nodes' addresses."""


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line of a node, and its meaning."""

    line: LogLine
    event: Event | None
    """The event that the line holds, if any."""
    words: str | None
    """What the node's log shows: the line's text, or what a foreign program has printed. None for other events of an
    observer, which are no words of the program."""


class LineReader:
    """A reader of the lines of a lab's nodes.

    Of nodes that ``nodes`` lacks, the events of every program are read.
    """

    def __init__(self, nodes: Iterable[NodePlan] = ()) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._readable: dict[str, frozenset[str]] = {
            name: frozenset(event for event in EVENTS if prints(node, event)) for name, node in self._nodes.items()
        }
        self._any: frozenset[str] = frozenset(name for name, spec in EVENTS.items() if spec.emitters != (LAB,))
        self._names: dict[str, str] = {}

    def set_addresses(self, addresses: Mapping[str, str]) -> None:
        """Set the IP address of each node, by name."""
        self._names = {address: node for node, address in addresses.items()}

    def name_of(self, address: str) -> str:
        """Return the name of the node with an address, ``IP`` or ``IP:PORT``.

        Return the address itself where no node has it.
        """
        host, _, _ = address.partition(":")
        return self._names.get(host, address)

    def read(self, line: LogLine) -> ReadLine:
        """Return what a line means."""
        event = parse_event(line.text, node=line.node, arrived=line.time)
        if event is not None and event.name not in self._readable.get(line.node, self._any):
            event = None
        if event is None or not self._is_foreign(line.node):
            return ReadLine(line, event, line.text)
        if event.name == SAID:
            return ReadLine(line, event, event.fields.get("text", ""))
        return ReadLine(line, self._with_names(event), None)

    def _is_foreign(self, node: str) -> bool:
        plan = self._nodes.get(node)
        return plan is not None and plan.program is NodeProgram.FOREIGN

    def _with_names(self, event: Event) -> Event:
        """Put the names of nodes in place of their addresses."""
        keys = PEER_ADDRESSES.get(event.name, ())
        if not keys or not self._names:
            return event
        changed = {key: self._rename(event.fields[key]) for key in keys if key in event.fields}
        return replace(event, fields={**event.fields, **changed})

    def _rename(self, text: str) -> str:
        """Rename every ``IP`` and ``IP:NUMBER`` of a list that is separated by commas."""
        renamed = []
        for part in text.split(","):
            host, colon, rest = part.partition(":")
            renamed.append(f"{self._names.get(host, host)}{colon}{rest}")
        return ",".join(renamed)
