"""The counters of the network's rules.

The rules count packets that arrived, were lost, were shaped, and were dropped by a full queue. A rule's counters end
with the rule, so a script that changes rules prints them first; a link's count is the sum of all readings. What passes
between that reading and the change, a few milliseconds, is not counted.
"""

from __future__ import annotations

import json
import re
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.network import filter_rules, shaping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.network.node_settings import NodeSettings
    from torrentnet.lab.scenario.qualities import Pair

RULES: Final = "== rules"
CLASSES: Final = "== classes"
END: Final = "== end"

READ_COUNTERS: Final = f"""\
echo "{RULES}"; iptables-save -c -t filter
echo "{CLASSES}"; tc -s -j class show dev "$device"
echo "{END}"
"""
"""Shell lines; ``$device`` is the node's interface."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts of one directed pair.

    Bytes are of IP packets at the receiver, of Ethernet frames at the sender.
    """

    arrived: int = 0
    """Packets that reached the rules of loss and cut."""
    arrived_bytes: int = 0
    lost: int = 0
    """Those of them that the rules dropped."""
    lost_bytes: int = 0
    sent: int = 0
    """Packets that the rate's class sent."""
    sent_bytes: int = 0
    overflowed: int = 0
    """Packets dropped because the class's queue was full."""

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def since(self, earlier: Counters) -> Counters:
        """Return what was counted after an earlier reading of the same pair."""
        return Counters(*(a - b for a, b in zip(astuple(self), astuple(earlier), strict=True)))


_RULE: Final = re.compile(
    rf"\[(?P<packets>\d+):(?P<bytes>\d+)\] -A {filter_rules.CHAIN} -s (?P<source>[\d.]+)(?:/32)?(?P<drop> .*-j DROP)?"
)


def parse_counters(output: str, settings: NodeSettings) -> dict[Pair, Counters]:
    """Parse the output of :data:`READ_COUNTERS` in a node with these settings.

    Lines that are neither a rule of ours nor a class are skipped: scripts print other lines too, and a node may have
    rules of others. A truncated output yields nothing.
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
    sources = {link.address: link for link in settings.dropping}
    for line in found[RULES]:
        match = _RULE.fullmatch(line)
        if match is None or (link := sources.get(match["source"])) is None:
            continue
        packets, size = int(match["packets"]), int(match["bytes"])
        pair = (link.source, settings.node)
        lost = Counters(lost=packets, lost_bytes=size)
        arrived = Counters(arrived=packets, arrived_bytes=size)
        if not match["drop"]:
            part = arrived
        elif link.is_cut:
            part = arrived + lost
        else:
            part = lost
        counted[pair] = counted.get(pair, Counters()) + part
    destinations = {f"{shaping.ROOT:x}:{link.number:x}": link for link in settings.outgoing}
    for handle, sent, sent_bytes, overflowed in _classes("\n".join(found[CLASSES]).strip()):
        outgoing = destinations.get(handle)
        if outgoing is None:
            continue
        part = Counters(sent=sent, sent_bytes=sent_bytes, overflowed=overflowed)
        pair = (settings.node, outgoing.destination)
        counted[pair] = counted.get(pair, Counters()) + part
    return counted


_CLASS: Final = re.compile(
    r"^class htb (?P<handle>[0-9a-f]+:[0-9a-f]+) .*\n"
    r"\s*Sent (?P<bytes>\d+) bytes (?P<packets>\d+) pkt \(dropped (?P<drops>\d+),",
    re.MULTILINE,
)


def _classes(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Yield each class's handle, packets, bytes and drops.

    The text is JSON, or what older versions of tc print of htb although they are asked for JSON (iproute2 6.1 does,
    6.15 does not).
    """
    if not text.startswith("["):
        for found in _CLASS.finditer(text):
            yield found["handle"], int(found["packets"]), int(found["bytes"]), int(found["drops"])
        return
    for row in json.loads(text):
        stats = row.get("stats", {})
        yield row.get("handle", ""), stats.get("packets", 0), stats.get("bytes", 0), stats.get("drops", 0)
