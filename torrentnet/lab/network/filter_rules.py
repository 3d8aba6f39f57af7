"""Loss and cuts: a chain of our own on what the receiver takes in, one transaction of iptables-restore a change.

Why at the receiver: a packet that is dropped on its sender's way out is reported to the sender's own TCP, which sends
it again at once, so that nearly no loss is seen; and a route that goes nowhere answers with an error. Dropped on
arrival, it is gone as on a real network, silently, and each direction is cut by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.network.node_settings import IncomingLink

CHAIN = "TORRENTNET"
HOOK = f"INPUT -j {CHAIN}"

FORCE_REMOVE = f"""\
while iptables -w -D {HOOK} 2>/dev/null; do :; done
if iptables -w -F {CHAIN} 2>/dev/null; then iptables -w -X {CHAIN}; fi
"""
"""Removes what is ours, whatever there is of it."""

REMOVE = f"""\
*filter
-D {HOOK}
-F {CHAIN}
-X {CHAIN}
COMMIT
"""
"""Input for ``iptables-restore --noflush``: removes the chain that is known to be there, in one step."""


def share(value: float) -> str:
    """A share from 0 to 1 as iptables reads it; it keeps 31 bits of it."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def drop(way: IncomingLink) -> str:
    """The rule that drops packets of one source."""
    if way.cut or way.loss >= 1:
        return f"-A {CHAIN} -s {way.address}/32 -j DROP"
    return f"-A {CHAIN} -s {way.address}/32 -m statistic --mode random --probability {share(way.loss)} -j DROP"


def transaction(dropping: Sequence[IncomingLink], *, first: bool) -> str:
    """Input for ``iptables-restore --noflush``: the chain anew, in one step.

    ``first``: the chain is not there yet, and nothing leads to it.
    """
    lines = ["*filter", f":{CHAIN} - [0:0]"]
    for way in dropping:
        if way.cut or way.loss >= 1:
            lines.append(f"# nothing from {way.source}")
        else:
            lines.append(f"# {way.loss * 100:g} % of the packets from {way.source} are lost")
            # Without a target a rule only counts: how many packets there were to lose.
            lines.append(f"-A {CHAIN} -s {way.address}/32")
        lines.append(drop(way))
    if not first:
        # Fails where someone has taken the jump away, and then everything is set from the ground up.
        lines.append(f"-D {HOOK}")
    lines.append(f"-I {HOOK}")
    return "\n".join([*lines, "COMMIT", ""])
