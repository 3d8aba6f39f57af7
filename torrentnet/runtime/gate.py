"""Wait until the lab has set up the node's network.

The lab can set rules only in an existing network namespace, and a container's namespace appears together with its
program. Until the rules are set, which takes long on a busy machine, the program would see a network without faults.
So the lab asks programs to wait (:data:`GATE_VARIABLE`), and opens the gate by the length of the loopback interface's
transmit queue: nothing depends on that number, it has its default in every new namespace, and any program may read it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GATE_VARIABLE: Final = "TORRENTNET_GATE"
"""Environment variable with the length to wait for; without it, the gate is open."""
GATE_TIMEOUT: Final = 10.0
"""Longest wait: a program that has inherited the variable without a lab starts all the same."""
POLL_INTERVAL: Final = 0.02
SIOCGIFTXQLEN: Final = 0x8942
"""netdevice(7); not in Python's modules."""
_REQUEST: Final = struct.Struct("16si20x")


def loopback_queue_length() -> int:
    """Return the length of the loopback interface's transmit queue, in packets.

    Raises OSError if there is none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFTXQLEN, _REQUEST.pack(b"lo", 0))
    return int(_REQUEST.unpack(answer)[1])


def await_network(
    environ: Mapping[str, str] = os.environ,
    *,
    length: Callable[[], int] = loopback_queue_length,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the gate is open, and return whether it has opened.

    Return False when the gate is not open within :data:`GATE_TIMEOUT`.
    """
    wanted = environ.get(GATE_VARIABLE, "")
    if not wanted.isdecimal():
        return True
    deadline = clock() + GATE_TIMEOUT
    while length() != int(wanted):
        if clock() >= deadline:
            return False
        sleep(POLL_INTERVAL)
    return True
