"""Which addresses a lab gets.

With network namespaces the lab's subnet is its own whatever it is; it is one of 198.18.0.0/15 as with Docker, and
another one than those of the labs that are up, so that a person who sees an address knows which lab it is.

Without, the nodes share the loopback interface with everything else on the machine, and 127.0.0.0/8 has room: a lab
gets one /24 (or a larger one, if it has more nodes). What keeps two labs apart, also those of two users, is a socket
that is bound to an address of the subnet as long as the lab lives: the kernel gives it to one.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from torrentnet.lab.engines import subnets as docker_network
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = ipaddress.IPv4Network("127.64.0.0/10")
"""Far from 127.0.0.1 and from what resolvers and test beds use of it."""
LONGEST_PREFIX = 24
CLAIM_PORT = 6770
"""Beside the tracker's. Peers and trackers listen on other addresses of the subnet anyway."""


def own_subnet(nodes: int, used: Iterable[IPv4Network]) -> IPv4Network:
    """A subnet for nodes with namespaces. Raises EngineError."""
    return docker_network.choose_subnet(nodes, used)


def claim_loopback_subnet(nodes: int) -> tuple[IPv4Network, list[socket.socket]]:
    """A subnet on the loopback interface, and the sockets that hold it while they are open. Raises EngineError."""
    prefix = docker_network.prefix_length(nodes)
    for candidate in LOOPBACK.subnets(new_prefix=prefix):
        held: list[socket.socket] = []
        with contextlib.ExitStack() as stack:
            for part in candidate.subnets(new_prefix=LONGEST_PREFIX):
                one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                try:
                    one.bind((str(part[1]), CLAIM_PORT))
                    one.listen(1)
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        break
                    raise EngineError(
                        f"no address of 127.0.0.0/8 can be used: {part[1]}: {error.strerror}",
                        hint="the engine `local` needs Linux, where all of 127.0.0.0/8 is this machine",
                    ) from error
                held.append(one)
            else:
                stack.pop_all()
                return candidate, held
    raise EngineError(
        f"every part of {LOOPBACK} is taken by a lab", hint=f"`{typed_command('down')}` in the other directories"
    )
