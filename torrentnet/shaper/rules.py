"""What has to be set and started in a node so that its packets reach the shaper: text only, nothing is run here.

The order matters, because a queue without a listener drops what it gets:
- a change: first the shaper (`apply`), then the rules. A queue that the new state does not name passes packets at once.
- an end: first the rules (`input_rules({})`), then the shaper (`stop`), which lets what waits go on at its time.

The rules are in the table `mangle`, whose INPUT comes before that of `filter`: loss and cuts, which are rules there,
act when a packet arrives after its delay. A packet that comes back from an NFQUEUE goes on at the next table, not at
the next rule.
"""

import ipaddress
from collections.abc import Mapping

CHAIN = "TORRENTNET-DELAY"
RESTORE = ("iptables-restore", "--noflush", "--wait", "5")
APPLY = ("python3", "-S", "-m", "torrentnet.shaper", "apply")
"""The state's text is its standard input. Starts the shaper where none runs; when it returns, the state is in force."""
STATUS = ("python3", "-S", "-m", "torrentnet.shaper", "status")
STOP = ("python3", "-S", "-m", "torrentnet.shaper", "stop")
PROBE = ("python3", "-S", "-m", "torrentnet.shaper", "probe")


def queue_number(address: str) -> int:
    """The queue of the packets from an IPv4 address: its last 16 bits. Raises ValueError."""
    return int(ipaddress.IPv4Address(address)) & 0xFFFF


def input_rules(queues: Mapping[str, int]) -> str:
    """The text for RESTORE that sends the packets from each IPv4 address to its queue, in the place of earlier rules.

    Packets of the loopback interface are left out: copies come in that way, and must not be copied again. In a node
    mangle's INPUT is taken to be ours alone. Raises ValueError for what is no address or no queue number.
    """
    lines = ["*mangle", f":{CHAIN} - [0:0]", "-F INPUT", f"-A INPUT -j {CHAIN}"]
    for address, queue in queues.items():
        if not 0 <= queue <= 0xFFFF:
            raise ValueError(f"queue {queue} is not from 0 to 65535")
        lines.append(f"-A {CHAIN} -s {ipaddress.IPv4Address(address)}/32 ! -i lo -j NFQUEUE --queue-num {queue}")
    lines.append("COMMIT")
    return "\n".join(lines) + "\n"
