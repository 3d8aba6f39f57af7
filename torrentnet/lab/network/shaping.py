"""Rate, and what netem does: one htb class a destination on what the sender lets out, as lines for ``tc -batch``.

A rate counts bytes on the Ethernet: IP packet and 14 bytes of Ethernet header, without preamble, checksum and gap. Of
8 Mbit/s, a TCP transfer with full packets (1,448 bytes of content in 1,514 on the wire) carries 7.65 Mbit/s of content.

An uplink is one class more, above those of the destinations: each has an equal part of it for its own, and what some
leave over the others take in turns, packet by packet.

What matches no filter goes by unshaped, ahead of the classes. Each class and its filter have the destination's number,
so that a change of one link replaces them in place and leaves the queues of all other links alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torrentnet.lab.network.node_settings import OutgoingLink

ROOT = 0x746E
"""The major number of our root queue ("tn"), by which it is known as ours."""
NETEM = 0x1000
"""Added to the number of a leaf queue that is netem: tc does not turn one kind of queue into another."""
FRAME = 1514
"""Bytes of a full packet on the Ethernet."""
UPLINK = 0x2000
"""The minor number of the class that all destinations have above them where the node's uplink is limited."""
UNLIMITED = 100e9
"""Bits a second of a class that only delays."""
BURST_DURATION = 0.005
"""What a class may send at once after a silence; less, and a late timer on a busy machine would cost rate."""
MAX_QUEUE_DELAY = 0.25
"""How long a packet waits at most in a full queue, as in a common router."""
QUEUE_FRAMES = 16
"""But a queue has room for so many full packets, however slow it is."""
MAX_QUEUE = 16 * 2**20
"""Bytes."""
SMALL_FRAME = 512
"""Bytes; netem's queue is counted in packets and must not overflow where they are smaller than full."""
MIN_PACKETS = 1000
MAX_PACKETS = 1_000_000
UNLIMITED_NETEM = 1e9
"""Bits a second that a delayed link without a rate is given room for."""


def begin(device: str) -> str:
    """The root queue; a packet that no filter knows is not shaped."""
    return f"qdisc add dev {device} root handle {ROOT:x}: htb default 0"


def uplink_line(rate: float, device: str) -> str:
    """The class above those of the destinations; it has to be there before them."""
    return (
        f"class replace dev {device} parent {ROOT:x}: classid {ROOT:x}:{UPLINK:x} "
        f"htb rate {round(rate)}bit burst {_burst(rate)}b cburst {_burst(rate)}b quantum {FRAME}"
    )


def lines(outgoing: Sequence[OutgoingLink], before: Sequence[OutgoingLink], device: str) -> Iterator[str]:
    """What makes the classes of ``before`` those of ``outgoing``; the root queue and the uplink's class are there."""
    known = {way.number: way for way in before}
    wanted = {way.number for way in outgoing}
    for way in before:
        if way.number not in wanted:
            # The filter first: a class that something points to cannot be removed.
            yield f"filter del dev {device} parent {ROOT:x}: protocol ip prio 1 handle 800::{way.number:x} u32"
            yield f"class del dev {device} classid {ROOT:x}:{way.number:x}"
    for way in outgoing:
        old = known.get(way.number)
        if old == way:
            continue
        yield f"# to {way.destination}: {describe_link(way)}"
        yield from _class(way, device)
        if old is None:
            yield (
                f"filter replace dev {device} parent {ROOT:x}: protocol ip prio 1 handle 800::{way.number:x} "
                f"u32 match ip dst {way.address}/32 flowid {ROOT:x}:{way.number:x}"
            )


def _class(way: OutgoingLink, device: str) -> Iterable[str]:
    minor = f"{ROOT:x}:{way.number:x}"
    if way.uplink:
        ceil = max(8, round(min(way.rate or way.uplink, way.uplink)))
        rate = max(8, min(ceil, round(way.uplink / way.sharers)))
        yield (
            f"class replace dev {device} parent {ROOT:x}:{UPLINK:x} classid {minor} "
            f"htb rate {rate}bit ceil {ceil}bit burst {_burst(rate)}b cburst {_burst(ceil)}b quantum {FRAME}"
        )
    else:
        rate = ceil = max(8, round(way.rate)) if way.rate else round(UNLIMITED)
        burst = _burst(way.rate or UNLIMITED_NETEM)
        yield (
            f"class replace dev {device} parent {ROOT:x}: classid {minor} "
            f"htb rate {rate}bit burst {burst}b cburst {burst}b quantum {FRAME}"
        )
    if not way.impairment:
        limit = queue_bytes(ceil)
        yield f"qdisc replace dev {device} parent {minor} handle {way.number:x}: bfifo limit {limit}b"
        return
    given = way.impairment
    # All of it each time: netem keeps what a change does not mention.
    yield (
        f"qdisc replace dev {device} parent {minor} handle {NETEM + way.number:x}: netem "
        f"limit {queue_packets(way)} "
        f"delay {_us(given.delay)} {_us(given.jitter)} duplicate {_percent(given.duplication)} "
        f"corrupt {_percent(given.corruption)} reorder {_percent(given.reordering)}"
    )


def _burst(rate: float) -> int:
    return max(2 * FRAME, round(rate / 8 * BURST_DURATION))


def _us(seconds: float) -> str:
    return f"{round(seconds * 1e6)}us"


def _percent(share: float) -> str:
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + "%"


def queue_bytes(rate: float) -> int:
    """How much waits at a class of ``rate`` bits a second before packets are dropped."""
    return min(MAX_QUEUE, max(QUEUE_FRAMES * FRAME, round(rate / 8 * MAX_QUEUE_DELAY)))


def queue_packets(way: OutgoingLink) -> int:
    """netem's limit in packets: what is on its way during the delay, and with a rate what waits for its turn.

    netem's own 1000 would drop the tail where delay times rate is more.
    """
    rate = min((bits for bits in (way.rate, way.uplink) if bits), default=None)
    waits = way.impairment.delay + way.impairment.jitter + (MAX_QUEUE_DELAY if rate else 0.0)
    packets = math.ceil((rate or UNLIMITED_NETEM) / 8 * waits / SMALL_FRAME)
    return min(MAX_PACKETS, max(MIN_PACKETS if rate is None else QUEUE_FRAMES, packets))


def describe_link(way: OutgoingLink) -> str:
    """One link in words: ``8 Mbit/s, 20 ms later``."""
    given = way.impairment
    words = []
    if way.rate:
        words.append(format_rate(way.rate))
    if way.uplink:
        words.append(f"one of {way.sharers} that share {format_rate(way.uplink)}")
    if given.delay or given.jitter:
        words.append(
            f"{given.delay * 1e3:g} ms later" + (f" give or take {given.jitter * 1e3:g} ms" if given.jitter else "")
        )
    for value, what in (
        (given.corruption, "corrupted"),
        (given.duplication, "sent twice"),
        (given.reordering, "sent ahead of others"),
    ):
        if value:
            words.append(f"{value * 100:g} % {what}")
    return ", ".join(words)


def format_rate(rate: float) -> str:
    """Bits a second with a unit a person reads."""
    for unit, factor in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if rate >= factor:
            return f"{rate / factor:g} {unit}"
    return f"{rate:g} bit/s"
