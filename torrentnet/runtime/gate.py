"""A node of a lab begins when its network is what the lab wants of it, and not before.

Rules can be set only in a network namespace that is there, and a container's comes with its program; for the moment
in between, which a busy machine makes long, a program would find a network without a fault in it. So the lab asks its
programs to wait (:data:`GATE_VARIABLE`), and says by the length of the loopback interface's transmit queue that they
may go
on: a number that nothing depends on, that begins at its default in every new namespace, and that every program may
read.
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
"""The length that is waited for; nothing is waited for where this is missing."""
GATE_TIMEOUT: Final = 10.0
"""Whoever is started by hand has nobody that sets its rules: it begins without them in the end."""
POLL_INTERVAL: Final = 0.02
SIOCGIFTXQLEN: Final = 0x8942
"""netdevice(7); Python's modules do not name it."""
_REQUEST: Final = struct.Struct("16si20x")


def await_network(
    environ: Mapping[str, str] = os.environ,
    *,
    length: Callable[[], int] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the network is as it is to be; False where it was not within :data:`GATE_TIMEOUT`."""
    wanted = environ.get(GATE_VARIABLE, "")
    if not wanted.isdecimal():
        return True
    look = loopback_queue_length if length is None else length
    until = clock() + GATE_TIMEOUT
    while look() != int(wanted):
        if clock() >= until:
            return False
        sleep(POLL_INTERVAL)
    return True


def loopback_queue_length() -> int:
    """The length of the loopback interface's transmit queue, in packets. Raises OSError where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFTXQLEN, _REQUEST.pack(b"lo", 0))
    return int(_REQUEST.unpack(answer)[1])
