"""An uploader's connections on loopback, with a clock that stands still."""

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
MOST_TURNS = 1_000


def say_hello(sock: socket.socket, info_hash: bytes, *, peer_id: bytes, offers: bool) -> None:
    able = ExtensionHandshake(METADATA_ID, offer_id=OFFER_ID if offers else 0)
    said = pack(HaveNone()) + pack(Extended(0, pack_extension_handshake(able))) + pack(Interested())
    sock.sendall(pack_handshake(Handshake(info_hash, peer_id)) + said)


def test_pipelined_requests_get_turns_without_further_messages(tmp_path: Path) -> None:
    """No message wakes the uploader, which once sent such a peer only four pieces a second."""
    store = make_store(tmp_path / "myfile.txt", content(40 * PIECE))
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        uploads = ConnectionManager(
            listener, selector, SEED_ID, RateLimit(None, NOW), lambda *_: None, lambda _: None, now=NOW
        )
        uploads.store = store
        address = listener.getsockname()
        with socket.create_connection(address) as ours, socket.create_connection(address) as foreign:
            # The first peer that uses credits enables choking.
            say_hello(ours, store.info.info_hash, peer_id=LEECH_ID, offers=True)
            say_hello(foreign, store.info.info_hash, peer_id=b"-XX0000-the-foreign-", offers=False)
            foreign.sendall(b"".join(pack(Request(piece, 0, PIECE)) for piece in range(40)))
            foreign.setblocking(False)
            received = turns = 0
            while received < 40 * PIECE:
                turns += 1
                assert turns < MOST_TURNS, "it spins"
                due = uploads.due(NOW)
                waits = due is None or due > NOW
                ready = selector.select(0.3 if waits else 0)
                assert ready or not waits, f"it waits for the clock, and {received} bytes were received"
                for key, mask in ready:
                    key.data(mask, NOW)
                uploads.tick(NOW)
                with contextlib.suppress(BlockingIOError):
                    while data := foreign.recv(1 << 20):
                        received += len(data)
            uploads.close()
    store.close()
