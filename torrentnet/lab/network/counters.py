"""What the rules have counted: packets that were there to be lost, lost, shaped, and dropped by a full queue.

A rule's counters end with the rule, so a script that changes rules prints them first; the sum of all readings is a
link's count. What passes between that reading and the change, a few milliseconds, is not counted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.network import filter_rules, shaping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.network.node_settings import NodeSettings
    from torrentnet.lab.scenario.qualities import Pair

RULES = "== rules"
CLASSES = "== classes"
END = "== end"

READ_COUNTERS = f"""\
echo "{RULES}"; iptables-save -c -t filter
echo "{CLASSES}"; tc -s -j class show dev "$device"
echo "{END}"
"""
"""Shell lines; ``$device`` is the node's interface."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted of one directed pair. Bytes are IP packets' at the receiver, Ethernet's at the sender."""

    arrived: int = 0
    """Packets that came to the rules of loss and cut."""
    arrived_bytes: int = 0
    lost: int = 0
    """Of these, the packets that the rules have dropped."""
    lost_bytes: int = 0
    sent: int = 0
    """Packets that the rate's class has let out."""
    sent_bytes: int = 0
    overflowed: int = 0
    """Packets that found the class's queue full."""

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.arrived + other.arrived,
            self.arrived_bytes + other.arrived_bytes,
            self.lost + other.lost,
            self.lost_bytes + other.lost_bytes,
            self.sent + other.sent,
            self.sent_bytes + other.sent_bytes,
            self.overflowed + other.overflowed,
        )

    def since(self, earlier: Counters) -> Counters:
        """What has been counted after an earlier reading of the same pair."""
        return Counters(
            self.arrived - earlier.arrived,
            self.arrived_bytes - earlier.arrived_bytes,
            self.lost - earlier.lost,
            self.lost_bytes - earlier.lost_bytes,
            self.sent - earlier.sent,
            self.sent_bytes - earlier.sent_bytes,
            self.overflowed - earlier.overflowed,
        )


_RULE = re.compile(
    rf"\[(?P<packets>\d+):(?P<bytes>\d+)\] -A {filter_rules.CHAIN} -s (?P<source>[\d.]+)(?:/32)?(?P<drop> .*-j DROP)?"
)


def parse_counters(output: str, settings: NodeSettings) -> dict[Pair, Counters]:
    """The counters that :data:`READ_COUNTERS` has printed in a node with these settings.

    Lines that are neither a rule of ours nor a class are skipped: a script prints other things too, and there may be
    rules of other people. An output that was cut short gives nothing.
    """
    section = ""
    found: dict[str, list[str]] = {RULES: [], CLASSES: []}
    lines = output.splitlines()
    if END not in lines:
        return {}
    for line in lines:
        if line in {*found, END}:
            section = line
        elif section in found:
            found[section].append(line)
    counted: dict[Pair, Counters] = {}
    sources = {way.address: way for way in settings.dropping}
    for line in found[RULES]:
        match = _RULE.fullmatch(line)
        if match is None or (way := sources.get(match["source"])) is None:
            continue
        packets, size = int(match["packets"]), int(match["bytes"])
        pair = (way.source, settings.node)
        lost = Counters(lost=packets, lost_bytes=size)
        arrived = Counters(arrived=packets, arrived_bytes=size)
        if not match["drop"]:
            part = arrived
        elif way.cut or way.loss >= 1:
            part = arrived + lost
        else:
            part = lost
        counted[pair] = counted.get(pair, Counters()) + part
    destinations = {f"{shaping.ROOT:x}:{way.number:x}": way for way in settings.outgoing}
    for handle, sent, sent_bytes, overflowed in _classes("\n".join(found[CLASSES]).strip()):
        out = destinations.get(handle)
        if out is None:
            continue
        part = Counters(sent=sent, sent_bytes=sent_bytes, overflowed=overflowed)
        pair = (settings.node, out.destination)
        counted[pair] = counted.get(pair, Counters()) + part
    return counted


_CLASS = re.compile(
    r"^class htb (?P<handle>[0-9a-f]+:[0-9a-f]+) .*\n"
    r"\s*Sent (?P<bytes>\d+) bytes (?P<packets>\d+) pkt \(dropped (?P<drops>\d+),",
    re.MULTILINE,
)


def _classes(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Each class with its packets, bytes and drops: as JSON, or as the text that older versions of tc print of htb
    although they are asked for JSON (iproute2 6.1 does, 6.15 does not)."""
    if not text.startswith("["):
        for found in _CLASS.finditer(text):
            yield found["handle"], int(found["packets"]), int(found["bytes"]), int(found["drops"])
        return
    for row in json.loads(text):
        stats = row.get("stats", {})
        yield row.get("handle", ""), stats.get("packets", 0), stats.get("bytes", 0), stats.get("drops", 0)
