"""Rates, and what netem does, as lines for ``tc -batch``.

The sender has one htb class for each destination. The lines are part of a shell script, in which ``$device`` is the
node's interface.

A rate counts bytes on the Ethernet: IP packet and 14 bytes of Ethernet header, without preamble, checksum and gap. Of
8 Mbit/s, a TCP transfer with full packets (1,448 bytes of content in 1,514 on the wire) carries 7.65 Mbit/s of content.

An uplink is one more class, the parent of those of the destinations: an equal part is reserved for each of them, and
what some leave unused is shared by the others in turn, packet by packet.

A packet that matches no filter is not shaped, and passes ahead of the classes. Each class and its filter have the
destination's number, so that a change of one link replaces them in place and leaves the queues of all other links
alone.

Tested by tests/unit/lab/network/test_render.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torrentnet.lab.network.node_settings import OutgoingLink

ROOT: Final = 0x746E
"""Major number of our root queue ("tn"), which identifies it as ours."""
NETEM: Final = 0x1000
"""Added to the number of a leaf queue that is netem: tc does not change the kind of a queue."""
ADD_ROOT: Final = f"qdisc add dev $device root handle {ROOT:x}: htb default 0"
"""Makes the root queue."""
FRAME: Final = 1514
"""Bytes of a full packet on the Ethernet."""
UPLINK: Final = 0x2000
"""Minor number of the parent class of all destinations where the node's uplink is limited."""
UNLIMITED: Final = 100e9
"""Bits a second of a class that only delays."""
BURST_DURATION: Final = 0.005
"""What a class may send at once after a pause; with less, late timers on a busy machine would lower the rate."""
MAX_QUEUE_DELAY: Final = 0.25
"""Longest wait in a full queue, as in a common router."""
QUEUE_FRAMES: Final = 16
"""Full packets that any queue has room for, however slow it is."""
MAX_QUEUE: Final = 16 * 2**20
"""Bytes."""
SMALL_FRAME: Final = 512
"""Bytes; netem's queue is counted in packets, and must not overflow where packets are small."""
MIN_PACKETS: Final = 1000
MAX_PACKETS: Final = 1_000_000
UNLIMITED_NETEM: Final = 1e9
"""Bits a second that the queue of a delayed link without a rate has room for."""


def uplink_line(rate: float) -> str:
    """Return the line that creates the parent of the destinations' classes.

    The parent has to exist before these classes.
    """
    return (
        f"class replace dev $device parent {ROOT:x}: classid {ROOT:x}:{UPLINK:x} "
        f"htb rate {round(rate)}bit burst {_burst(rate)}b cburst {_burst(rate)}b quantum {FRAME}"
    )


def lines(outgoing: Sequence[OutgoingLink], before: Sequence[OutgoingLink]) -> Iterator[str]:
    """Yield the lines that turn the classes of ``before`` into ``outgoing``'s.

    The root queue and the uplink's class exist already.
    """
    known = {link.number: link for link in before}
    wanted = {link.number for link in outgoing}
    for link in before:
        if link.number not in wanted:
            # The filter first: a class that a filter points to cannot be removed.
            yield f"filter del dev $device parent {ROOT:x}: protocol ip prio 1 handle 800::{link.number:x} u32"
            yield f"class del dev $device classid {ROOT:x}:{link.number:x}"
    for link in outgoing:
        old = known.get(link.number)
        if old == link:
            continue
        yield f"# to {link.destination}: {describe_link(link)}"
        yield from _class(link)
        if old is None:
            yield (
                f"filter replace dev $device parent {ROOT:x}: protocol ip prio 1 handle 800::{link.number:x} "
                f"u32 match ip dst {link.address}/32 flowid {ROOT:x}:{link.number:x}"
            )


def _class(link: OutgoingLink) -> Iterable[str]:
    minor = f"{ROOT:x}:{link.number:x}"
    if link.uplink:
        ceil = max(8, round(min(link.rate or link.uplink, link.uplink)))
        rate = max(8, min(ceil, round(link.uplink / link.sharers)))
        yield (
            f"class replace dev $device parent {ROOT:x}:{UPLINK:x} classid {minor} "
            f"htb rate {rate}bit ceil {ceil}bit burst {_burst(rate)}b cburst {_burst(ceil)}b quantum {FRAME}"
        )
    else:
        rate = ceil = max(8, round(link.rate)) if link.rate else round(UNLIMITED)
        burst = _burst(link.rate or UNLIMITED_NETEM)
        yield (
            f"class replace dev $device parent {ROOT:x}: classid {minor} "
            f"htb rate {rate}bit burst {burst}b cburst {burst}b quantum {FRAME}"
        )
    if not link.impairment:
        limit = queue_bytes(ceil)
        yield f"qdisc replace dev $device parent {minor} handle {link.number:x}: bfifo limit {limit}b"
        return
    impairment = link.impairment
    # All settings each time: netem keeps those that a change does not mention.
    yield (
        f"qdisc replace dev $device parent {minor} handle {NETEM + link.number:x}: netem "
        f"limit {queue_packets(link)} "
        f"delay {_us(impairment.delay)} {_us(impairment.jitter)} duplicate {_percent(impairment.duplication)} "
        f"corrupt {_percent(impairment.corruption)} reorder {_percent(impairment.reordering)}"
    )


def _burst(rate: float) -> int:
    return max(2 * FRAME, round(rate / 8 * BURST_DURATION))


def _us(seconds: float) -> str:
    return f"{round(seconds * 1e6)}us"


def _percent(share: float) -> str:
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + "%"


def queue_bytes(rate: float) -> int:
    """Return how many bytes wait at a class before packets are dropped.

    ``rate``: the class's, in bits a second.
    """
    return min(MAX_QUEUE, max(QUEUE_FRAMES * FRAME, round(rate / 8 * MAX_QUEUE_DELAY)))


def queue_packets(link: OutgoingLink) -> int:
    """Return netem's limit in packets.

    The limit has room for the packets in flight during the delay, and with a rate for those that wait in its queue.
    netem's default of 1000 would drop the tail where delay times rate is more.
    """
    rate = min((bits for bits in (link.rate, link.uplink) if bits), default=None)
    waits = link.impairment.delay + link.impairment.jitter + (MAX_QUEUE_DELAY if rate else 0.0)
    packets = math.ceil((rate or UNLIMITED_NETEM) / 8 * waits / SMALL_FRAME)
    return min(MAX_PACKETS, max(MIN_PACKETS if rate is None else QUEUE_FRAMES, packets))


def describe_link(link: OutgoingLink) -> str:
    """Return one link in words: ``8 Mbit/s, delayed by 20 ms``."""
    impairment = link.impairment
    words = []
    if link.rate:
        words.append(format_rate(link.rate))
    if link.uplink:
        words.append(f"one of {link.sharers} that share {format_rate(link.uplink)}")
    if impairment.delay or impairment.jitter:
        words.append(
            f"delayed by {impairment.delay * 1e3:g} ms"
            + (f" ± {impairment.jitter * 1e3:g} ms" if impairment.jitter else "")
        )
    for value, what in (
        (impairment.corruption, "corrupted"),
        (impairment.duplication, "sent twice"),
        (impairment.reordering, "sent ahead of others"),
    ):
        if value:
            words.append(f"{value * 100:g} % {what}")
    return ", ".join(words)


def format_rate(rate: float) -> str:
    """Return a rate in bits a second with a readable unit."""
    for unit, factor in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if rate >= factor:
            return f"{rate / factor:g} {unit}"
    return f"{rate:g} bit/s"
