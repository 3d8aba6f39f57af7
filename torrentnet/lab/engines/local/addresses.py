"""The subnet of a lab whose nodes share the loopback interface.

127.0.0.0/8 has room: a lab gets one /24, or a larger subnet if it has more nodes. What keeps two labs apart, of two
users too, is a socket that is bound to an address of the subnet as long as the lab exists: the kernel gives it to one
process only. (With network namespaces a lab's subnet comes from :mod:`torrentnet.lab.engines.subnets`, as with Docker.)
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.subnets import LONGEST_PREFIX, prefix_length
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from ipaddress import IPv4Network

LOOPBACK: Final = ipaddress.IPv4Network("127.64.0.0/10")
"""Far from 127.0.0.1 and from the addresses that resolvers and test beds use."""
CLAIM_PORT: Final = 6770
"""Next to the tracker's. Peers and trackers listen on other addresses of the subnet anyway."""


def claim_loopback_subnet(nodes: int) -> tuple[IPv4Network, list[socket.socket]]:
    """Reserve a loopback subnet, and return it with the sockets that hold it.

    The subnet is reserved while the sockets are open. Raises EngineError.
    """
    for candidate in LOOPBACK.subnets(new_prefix=prefix_length(nodes)):
        claims: list[socket.socket] = []
        with contextlib.ExitStack() as stack:
            for part in candidate.subnets(new_prefix=LONGEST_PREFIX):
                claim = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                try:
                    claim.bind((str(part[1]), CLAIM_PORT))
                    claim.listen(1)
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        break
                    raise EngineError(
                        f"no address of 127.0.0.0/8 can be used: {part[1]}: {error.strerror}",
                        hint="the engine `local` needs Linux, where all of 127.0.0.0/8 is this machine",
                    ) from error
                claims.append(claim)
            else:
                stack.pop_all()
                return candidate, claims
    raise EngineError(
        f"a lab uses each part of {LOOPBACK}",
        hint=f"`{typed_command('down')}` in the other directories ends their labs",
    )
