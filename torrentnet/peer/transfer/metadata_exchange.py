"""Metadata exchange (BEP 9): the info dictionary from one peer, without I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import RemoteError
from torrentnet.wire.info import Info, parse_info
from torrentnet.wire.peer.extension_protocol import METADATA_PIECE, Metadata, MetadataKind

if TYPE_CHECKING:
    from torrentnet.peer.transfer.protocol import PeerProtocol

MAX_PARTS_IN_FLIGHT: Final = 8
"""Requests that are open at once, to our own peers.

Other clients get one at a time: rTorrent 0.9.8 stops reading the connection at the second.
"""


class SourceError(RemoteError):
    """The source cannot be used any longer; the message is the reason in the log."""


@dataclass(frozen=True, slots=True)
class MetadataReceived:
    """The info dictionary, verified against the info-hash."""

    info: Info
    elapsed: float
    """Seconds since the first request."""


class MetadataDownload:
    """A download of the info dictionary from one peer.

    ``info_hash`` (20 bytes) is the dictionary's SHA-1.
    """

    def __init__(self, protocol: PeerProtocol, info_hash: bytes) -> None:
        self._protocol = protocol
        self._info_hash = info_hash
        self._parts: dict[int, bytes] = {}
        self._requested = 0
        self._requested_at: float | None = None

    @property
    def pending(self) -> bool:
        """Whether a request is open."""
        return self._requested_at is not None

    def request(self, now: float) -> bool:
        """Request parts up to the limit; return whether anything was requested.

        The remote extension handshake must have been received. Raises :class:`SourceError` if the peer has no info
        dictionary.
        """
        extension = self._protocol.remote_extension
        assert extension is not None
        if not extension.metadata_id or not extension.metadata_size:
            raise SourceError("does not have the info dictionary")
        if self._requested_at is None:
            self._requested_at = now
        before = self._requested
        parts = -(-extension.metadata_size // METADATA_PIECE)
        in_flight = MAX_PARTS_IN_FLIGHT if extension.name else 1
        while self._requested < parts and self._requested - len(self._parts) < in_flight:
            self._protocol.send_metadata(Metadata(MetadataKind.REQUEST, self._requested))
            self._requested += 1
        return self._requested > before

    def cancel(self) -> None:
        """Drop the open requests and the received parts."""
        self._parts.clear()
        self._requested, self._requested_at = 0, None

    def expects(self, part: int) -> bool:
        """Whether ``part`` was requested."""
        return self._requested_at is not None and part < self._requested

    def receive_part(self, metadata: Metadata, now: float) -> MetadataReceived | None:
        """Store a requested part; return the info dictionary after the last one.

        Raises :class:`SourceError` if the part or the whole dictionary is wrong.
        """
        extension = self._protocol.remote_extension
        assert extension is not None
        assert self._requested_at is not None
        size = extension.metadata_size
        if len(metadata.data) != min(METADATA_PIECE, size - metadata.piece * METADATA_PIECE):
            raise SourceError(f"sent {len(metadata.data)} bytes as part {metadata.piece} of the info dictionary")
        self._parts[metadata.piece] = metadata.data
        if len(self._parts) * METADATA_PIECE < size:
            self.request(now)
            return None
        raw = b"".join(self._parts[part] for part in sorted(self._parts))
        elapsed = now - self._requested_at
        self.cancel()
        if hashlib.sha1(raw, usedforsecurity=False).digest() != self._info_hash:
            raise SourceError("sent an info dictionary with the wrong SHA-1")
        try:
            return MetadataReceived(parse_info(raw), elapsed)
        except RemoteError as error:
            raise SourceError(error.message) from None
