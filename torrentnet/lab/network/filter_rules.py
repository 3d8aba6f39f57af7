"""Loss and cuts: an iptables chain for the packets that a node receives.

The chain is our own. Each change is one transaction of iptables-restore.

Why at the receiver: the kernel reports a packet that is dropped on its way out to the sender's own TCP, which sends it
again at once, so that hardly any loss is seen; and a route that leads nowhere returns an error. A packet dropped on
arrival disappears as on a real network, silently, and each direction is cut by itself.

Tested by tests/unit/lab/network/test_render.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.network.node_settings import IncomingLink

CHAIN: Final = "TORRENTNET"
HOOK: Final = f"INPUT -j {CHAIN}"

FORCE_REMOVE: Final = f"""\
while iptables -w -D {HOOK} 2>/dev/null; do :; done
if iptables -w -F {CHAIN} 2>/dev/null; then iptables -w -X {CHAIN}; fi
"""
"""Removes what is ours, whatever exists of it."""

REMOVE: Final = f"""\
*filter
-D {HOOK}
-F {CHAIN}
-X {CHAIN}
COMMIT
"""
"""Input for ``iptables-restore --noflush``: removes the existing chain, in one step."""


def transaction(dropping: Sequence[IncomingLink], *, first: bool) -> str:
    """Return input for ``iptables-restore --noflush`` that replaces the chain.

    The chain is replaced in one step. ``first``: the chain does not exist yet, and nothing jumps to it.
    """
    lines = ["*filter", f":{CHAIN} - [0:0]"]
    for link in dropping:
        rule = f"-A {CHAIN} -s {link.address}/32"
        if link.is_cut:
            lines += [f"# nothing from {link.source}", f"{rule} -j DROP"]
        else:
            # iptables keeps 31 bits of the probability.
            share = f"{link.loss:.10f}".rstrip("0").rstrip(".")
            lines += [
                f"# {link.loss * 100:g} % of the packets from {link.source} are lost",
                rule,  # without a target it only counts how many packets could have been lost
                f"{rule} -m statistic --mode random --probability {share} -j DROP",
            ]
    if not first:
        # Fails where someone has removed the jump; everything is set from scratch then.
        lines.append(f"-D {HOOK}")
    lines.append(f"-I {HOOK}")
    return "\n".join([*lines, "COMMIT", ""])
