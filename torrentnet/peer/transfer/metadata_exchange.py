"""Fetching the info dictionary from one peer (BEP 9): in parts, checked against the info-hash. No socket in here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.wire.errors import MetainfoError, RemoteError
from torrentnet.wire.info import Info, parse_info
from torrentnet.wire.peer.extension_protocol import METADATA_PIECE, Metadata, MetadataKind

if TYPE_CHECKING:
    from torrentnet.peer.transfer.protocol import PeerProtocol

MAX_PARTS_IN_FLIGHT = 8
"""Parts that are asked for at once."""


class SourceError(RemoteError):
    """This source is of no use (any more); the message says why, as it goes into the log."""


@dataclass(frozen=True, slots=True)
class MetadataReceived:
    """The info dictionary, checked against the info-hash."""

    info: Info
    elapsed: float
    """Seconds since it was first asked for."""


class MetadataDownload:
    """Asks one peer for the info dictionary, whose SHA-1 is ``info_hash`` (20 bytes)."""

    def __init__(self, protocol: PeerProtocol, info_hash: bytes) -> None:
        self._protocol = protocol
        self._info_hash = info_hash
        self._parts: dict[int, bytes] = {}
        self._requested = 0
        self._requested_at: float | None = None

    @property
    def pending(self) -> bool:
        """Whether it was asked for and has not come."""
        return self._requested_at is not None

    def request(self, now: float) -> bool:
        """Ask for as many parts as may be under way; whether anything was said.

        The peer has said what it can do (BEP 10). Raises :class:`SourceError` where it has no info dictionary.
        """
        extension = self._protocol.remote_extension
        assert extension is not None
        if not extension.metadata_id or not extension.metadata_size:
            raise SourceError("offers no info dictionary")
        if self._requested_at is None:
            self._requested_at = now
        before = self._requested
        parts = -(-extension.metadata_size // METADATA_PIECE)
        while self._requested < parts and self._requested - len(self._parts) < MAX_PARTS_IN_FLIGHT:
            self._protocol.send_metadata(Metadata(MetadataKind.REQUEST, self._requested))
            self._requested += 1
        return self._requested > before

    def cancel(self) -> None:
        """Wait for it no longer: somebody else is asked."""
        self._parts.clear()
        self._requested, self._requested_at = 0, None

    def expects(self, part: int) -> bool:
        """Whether a part was asked for."""
        return self._requested_at is not None and part < self._requested

    def receive_part(self, metadata: Metadata, now: float) -> MetadataReceived | None:
        """A part that was awaited; with the last one it is here. Raises :class:`SourceError` for what it cannot be."""
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
            raise SourceError("sent an info dictionary that is not the one asked for")
        try:
            return MetadataReceived(parse_info(raw), elapsed)
        except (MetainfoError, RemoteError) as error:
            raise SourceError(error.message) from None
