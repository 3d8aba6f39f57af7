"""Both ends of a simulated connection in a swarm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.unit.peer.downloader import DELAY
from tests.unit.peer.streams import BULK, pour
from torrentnet.peer.transfer.protocol import FileSpan, LocalIdentity, PeerProtocol
from torrentnet.peer.transfer.upload import Upload
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.peer.extension_protocol import (
    HANDSHAKE_ID,
    METADATA_ID,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
)
from torrentnet.wire.peer.messages import Bitfield, Block, Extended, HaveAll, HaveNone

if TYPE_CHECKING:
    from tests.unit.peer.strategies.crowd import Peer
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.piece_set import PieceSet

CHUNK = 16 * 1024
"""Bytes that an uplink sends before another connection may have it."""
HASH_OF_NOBODY = bytes(20)


class _Foreign(PeerProtocol):
    """The end of another client, which does not support credits."""

    def send_initial_state(self, held: PieceSet | None, metadata_size: int) -> None:
        if held is None or not len(held):
            self.send(HaveNone())
        else:
            self.send(HaveAll() if held.is_full else Bitfield(held.bitfield()))
        ours = ExtensionHandshake(METADATA_ID, metadata_size, "another client 1.0")
        self.send(Extended(HANDSHAKE_ID, pack_extension_handshake(ours)))


class _Stingy(Upload):
    """Announces the info dictionary, and refuses to send it."""

    def _handle_metadata(self, metadata: Metadata) -> None:
        self._protocol.send_metadata(Metadata(MetadataKind.REJECT, metadata.piece))


class End:
    """One end of a connection, in place of transfer's ``Connection``."""

    def __init__(self, owner: Peer, endpoint: Endpoint, *, initiator: bool) -> None:
        kind = _Foreign if owner.foreign else PeerProtocol
        info_hash = owner.info_hash
        self.owner = owner
        self.endpoint = endpoint
        """The other end's address, as a socket has it."""
        self.protocol = kind(
            info_hash,
            owner.identity.peer_id,
            initiator=initiator,
            pieces=owner.store.info.pieces if owner.store is not None else 0,
            buffer_size=BULK,
            identity=LocalIdentity(owner.identity.name, owner.endpoint.port, uses_credits=owner.swarm is not None),
        )
        serving = _Stingy if owner.stingy else Upload
        self.upload = serving(self.protocol, owner.store, owner.simulation.now)
        self.upload.choking = True
        self.open = True
        self.received: list[PeerProtocolEvent] = []
        """The received messages, without the data of blocks."""
        self.other: End

    def receive(self, data: bytes) -> None:
        """Receive bytes from the other end."""
        owner, now = self.owner, self.owner.simulation.now
        if not self.open or not owner.alive:
            return
        try:
            for event in pour(self.protocol, data):
                self.received.append(event._replace(data=memoryview(b"")) if isinstance(event, Block) else event)
                self.upload.handle(event, now)
                if owner.swarm is not None:
                    owner.handle_peer_event(self, event)
                if not self.open:
                    return
        except RemoteError as error:
            self.close(error.message)
        owner.poll()

    def close(self, reason: str) -> None:
        """Close this end, and later the other one."""
        if not self.open:
            return
        self.open = False
        owner, other = self.owner, self.other
        owner.ends.remove(self)
        if owner.swarm is not None and owner.alive:
            owner.connection_closed(self, reason)
        owner.simulation.after(DELAY, lambda: other.close("closed by the other side"))


def take(protocol: PeerProtocol, most: int) -> bytes:
    """Take at most ``most`` bytes of the output, as a socket would."""
    parts: list[bytes] = []
    room = most
    while protocol.output and room:
        head = protocol.output.popleft()
        if isinstance(head, FileSpan):
            data = os.pread(head.descriptor, min(room, head.length), head.offset)
            if head.length > room:
                rest = FileSpan(head.descriptor, head.offset + room, head.length - room)
                protocol.output.appendleft(rest)
        else:
            data = head[:room]
            if len(head) > room:
                protocol.output.appendleft(head[room:])
        parts.append(data)
        room -= len(data)
    joined = b"".join(parts)
    protocol.data_sent(len(joined))
    return joined
