"""An uploader's connections on loopback, with a clock that does not advance."""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING

from tests.unit.peer.streams import LEECH_ID, PIECE, SEED_ID, content, make_store
from torrentnet.peer.scheduling.rate_limit import RateLimit
from torrentnet.peer.transfer.connection_manager import ConnectionManager
from torrentnet.wire.peer.extension_protocol import METADATA_ID, OFFER_ID, ExtensionHandshake, pack_extension_handshake
from torrentnet.wire.peer.handshake import Handshake, pack_handshake
from torrentnet.wire.peer.messages import Extended, HaveNone, Interested, Request, pack

if TYPE_CHECKING:
    from pathlib import Path

NOW = 100.0
MAX_ITERATIONS = 1_000


def greet(sock: socket.socket, info_hash: bytes, peer_id: bytes, *, uses_credits: bool) -> None:
    extension = ExtensionHandshake(METADATA_ID, offer_id=OFFER_ID if uses_credits else 0)
    messages = pack(HaveNone()) + pack(Extended(0, pack_extension_handshake(extension))) + pack(Interested())
    sock.sendall(pack_handshake(Handshake(info_hash, peer_id)) + messages)


def test_pipelined_requests_get_turns_without_further_messages(tmp_path: Path) -> None:
    """The uploader serves a peer although no message wakes it.

    It once sent such a peer only four pieces per second.
    """
    store = make_store(tmp_path / "myfile.txt", content(40 * PIECE))
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        manager = ConnectionManager(
            listener, selector, SEED_ID, RateLimit(None, NOW), lambda *_: None, lambda _: None, now=NOW
        )
        manager.store = store
        address = listener.getsockname()
        with socket.create_connection(address) as first, socket.create_connection(address) as other:
            # The first peer that uses credits enables choking.
            greet(first, store.info.info_hash, LEECH_ID, uses_credits=True)
            greet(other, store.info.info_hash, b"-XX0000-other-client", uses_credits=False)
            other.sendall(b"".join(pack(Request(piece, 0, PIECE)) for piece in range(40)))
            other.setblocking(False)
            received = iterations = 0
            while received < 40 * PIECE:
                iterations += 1
                assert iterations < MAX_ITERATIONS, "the loop spins"
                due = manager.due(NOW)
                waits = due is None or due > NOW
                ready = selector.select(0.3 if waits else 0)
                assert ready or not waits, f"the manager waits for the clock after {received} bytes"
                for key, mask in ready:
                    key.data(mask, NOW)
                manager.tick(NOW)
                with contextlib.suppress(BlockingIOError):
                    while data := other.recv(1 << 20):
                        received += len(data)
            manager.close()
    store.close()
