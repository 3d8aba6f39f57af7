"""The commands and rules that connect a node's packets with the shaper.

The module only produces text; it runs nothing.

The order matters, because a queue without a listener drops its packets:
- to change: first the shaper (``apply``), then the rules. A queue that the state does not name delays nothing.
- to end: first the rules (``input_rules({})``), then the shaper (``stop``), which releases waiting packets when due.

The rules are in the table ``mangle``, whose INPUT comes before that of ``filter``: the rules of loss and cut there see
a packet after its delay. A packet that returns from an NFQUEUE continues at the next table, not at the next rule.
"""

import ipaddress
from collections.abc import Mapping
from typing import Final

CHAIN: Final = "TORRENTNET-DELAY"
RESTORE: Final = ("iptables-restore", "--noflush", "--wait", "5")
APPLY: Final = ("python3", "-S", "-m", "torrentnet.shaper", "apply")
"""Reads the state on standard input. Starts the shaper where none runs; the state is in force when it returns."""
STATUS: Final = ("python3", "-S", "-m", "torrentnet.shaper", "status")
STOP: Final = ("python3", "-S", "-m", "torrentnet.shaper", "stop")
PROBE: Final = ("python3", "-S", "-m", "torrentnet.shaper", "probe")


def queue_number(address: str) -> int:
    """Return the number of the queue for packets from an IPv4 address.

    The number is the address's last 16 bits. Raises ValueError.
    """
    return int(ipaddress.IPv4Address(address)) & 0xFFFF


def input_rules(queues: Mapping[str, int]) -> str:
    """Return the input of RESTORE that sends packets to the shaper's queues.

    The packets from each IPv4 address go to its queue. Earlier rules are replaced.

    Packets from the loopback interface are excluded: copies arrive there, and must not be copied again. In a node,
    mangle's INPUT chain belongs to the shaper alone. Raises ValueError for an invalid address or queue number.
    """
    lines = ["*mangle", f":{CHAIN} - [0:0]", "-F INPUT", f"-A INPUT -j {CHAIN}"]
    for address, queue in queues.items():
        if not 0 <= queue <= 0xFFFF:
            raise ValueError(f"queue {queue} is not from 0 to 65535")
        lines.append(f"-A {CHAIN} -s {ipaddress.IPv4Address(address)}/32 ! -i lo -j NFQUEUE --queue-num {queue}")
    lines.append("COMMIT")
    return "\n".join(lines) + "\n"
