"""Attack a tracker: ``python -m bench.programs.tracker_attack KIND IP:PORT S``.

The kinds are those of :data:`ATTACKS`. Prints the number of datagrams sent.
"""

from __future__ import annotations

import random
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from torrentnet.wire.piece_set import MAX_WINDOW, PieceSet
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupRequest, pack_lookup
from torrentnet.wire.udp.packets import AnnounceEvent, AnnounceRequest
from torrentnet.wire.udp.possession import pack_possession
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS: Final = "127.0.0.66"
PIECES: Final = 1 << 20
PORTS: Final = 512
REPORTS_PER_SECOND: Final = 124
REQUESTS_PER_SECOND: Final = 2_000
_HASH: Final = b"attacked file's hash"
_FOREVER: Final = 10**9


def _announce(connection: int, number: int, event: AnnounceEvent, left: int, name: str) -> bytes:
    port = 1_000 + number % PORTS
    options = pack_publication(Publication(name, PIECES << 14, 1 << 14, f"{port:064}", extended=True))
    peer_id = b"-XT0100-" + f"{port:012}".encode()
    return packets.pack_announce(
        AnnounceRequest(connection, number, _HASH, peer_id, 0, left, 0, event, 0, 0, 0, port, options)
    )


def _possession(connection: int) -> Iterator[bytes]:
    """Report alternating pieces of a million, from 512 ports."""
    held = []
    for parity in range(2):
        some = PieceSet(PIECES)
        some.replace_window(0, PieceSet(MAX_WINDOW, range(parity, MAX_WINDOW, 2)))
        held.append(some)
    for number in range(_FOREVER):
        if number < PORTS:
            yield _announce(connection, number, AnnounceEvent.STARTED, 5, "wide")
        port, peer_id = 1_000 + number % PORTS, b"-XT0100-" + f"{1_000 + number % PORTS:012}".encode()
        pieces = held[number // PORTS % 2]
        yield pack_possession(connection, _FOREVER + number, port, _HASH, peer_id, pieces, 0, MAX_WINDOW)


def _look_ups(connection: int) -> Iterator[bytes]:
    """Open requests for a long name, and give each up for the next."""
    for number in range(_FOREVER):
        yield pack_lookup(LookupRequest(connection, number, 0, 0, b"-XT0100-attacker....", 9, "x" * 255, "y" * 64))


def _toggled(connection: int) -> Iterator[bytes]:
    """Change one of 512 seeds with long names before each look-up."""
    for number in range(_FOREVER):
        leaves = number > PORTS and number % 2
        yield _announce(connection, number, AnnounceEvent.STOPPED if leaves else AnnounceEvent.STARTED, 0, "toggled")
        yield pack_lookup(
            LookupRequest(connection, _FOREVER + number, 0, 0, b"-XT0100-attacker....", 9, "toggled", "y")
        )


def _garbage(connection: int) -> Iterator[bytes]:
    """Send random bytes behind a valid head."""
    choose = random.Random(1)
    for number in range(_FOREVER):
        action = choose.choice((1, 2, 3, 0x544E0001, 0x544E0002, 0x544E0003))
        yield (
            connection.to_bytes(8, "big") + action.to_bytes(4, "big") + number.to_bytes(4, "big") + choose.randbytes(90)
        )


ATTACKS: Final[dict[str, tuple[Callable[[int], Iterator[bytes]], int]]] = {
    "possession": (_possession, REPORTS_PER_SECOND),
    "look-ups": (_look_ups, REQUESTS_PER_SECOND),
    "toggled": (_toggled, REQUESTS_PER_SECOND),
    "garbage": (_garbage, REQUESTS_PER_SECOND),
}
"""Datagrams by connection id, and how many a second."""


def main(kind: str, tracker: str, seconds: float) -> None:
    """Attack for some seconds."""
    host, _, port = tracker.rpartition(":")
    make, rate = ATTACKS[kind]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((ADDRESS, 0))
        sock.connect((host, int(port)))
        sock.settimeout(30)
        sock.send(packets.pack_connect(1))
        connection = int.from_bytes(sock.recv(100)[8:16], "big")
        began = time.monotonic()
        sent = 0
        for data in make(connection):
            now = time.monotonic()
            if now - began > seconds:
                break
            if sent > (now - began) * rate:
                time.sleep(0.005)
            sock.send(data)
            sent += 1
    print(sent, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
