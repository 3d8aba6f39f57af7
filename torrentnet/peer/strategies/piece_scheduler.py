"""The pieces requested from each peer of a swarm, until they are verified. No I/O.

Each piece is requested from one peer; in the endgame, also from a peer that would send it sooner.
:mod:`torrentnet.peer.scheduling.piece_picker` chooses the next piece.

Tested by tests/unit/peer/strategies/test_swarm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.piece_picker import PiecePicker, newly_held
from torrentnet.peer.strategies.effects import MAX_VERIFYING
from torrentnet.peer.transfer.fetcher import NOT_NOW
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from torrentnet.peer.strategies.remote_peer import RemotePeer
    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.peer.transfer.fetcher import PieceReceived
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.lookup import LookupHolder

MAX_REQUESTED: Final = 32 * 1024 * 1024
"""Bytes of pieces that may be requested at once; two pieces are always allowed."""
ENDGAME_SPEEDUP: Final = 1.5
ENDGAME_MIN_GAIN: Final = 0.03
"""Seconds that a second peer must save in the endgame, after its time is multiplied by :data:`ENDGAME_SPEEDUP`."""


@dataclass(frozen=True, slots=True)
class VerifyingPiece:
    """A complete piece that waits to be hashed and written."""

    peer: RemotePeer
    holder: LookupHolder
    """The peer's name and address when the piece was complete."""
    elapsed: float
    data: bytearray


class PieceScheduler:
    """The missing pieces of one file: all but ``held``.

    ``peers`` is the caller's mapping, which changes as peers connect and disconnect.
    """

    def __init__(self, info: Info, held: PieceSet, peers: Mapping[Connection, RemotePeer], rng: random.Random) -> None:
        self._info = info
        self._peers = peers
        self._picker: PiecePicker[RemotePeer] = PiecePicker(held, rng)
        self._verifying: dict[int, VerifyingPiece] = {}

    @property
    def all_requested(self) -> bool:
        """Whether every missing piece is requested: the endgame."""
        return self._picker.all_requested

    @property
    def is_verifying(self) -> bool:
        """Whether complete pieces wait to be hashed and written."""
        return bool(self._verifying)

    # -- availability ------------------------------------------------------------------------------

    def count_held(self, peer: RemotePeer) -> None:
        """Count the pieces that a peer holds and that were not counted yet."""
        held = peer.fetcher.remote_pieces.held
        if held is None:
            return
        if peer.counted is None:
            peer.counted = PieceSet(held.size)
        self._picker.add_holder(newly_held(peer.counted, held))
        if self._picker.any_unrequested(held):
            peer.fetcher.set_interested()

    def count_piece(self, peer: RemotePeer, piece: int) -> None:
        """Count one more piece that a peer holds."""
        if peer.counted is None:
            self.count_held(peer)
        elif piece not in peer.counted:
            peer.counted.add(piece)
            self._picker.add_holder((piece,))
        if self._picker.is_unrequested(piece):
            peer.fetcher.set_interested()

    def forget(self, peer: RemotePeer) -> None:
        """Stop counting the pieces of a disconnected peer."""
        if peer.counted is not None:
            self._picker.remove_holder(peer.counted)

    # -- requests ----------------------------------------------------------------------------------

    def next_piece(self, peer: RemotePeer, held: PieceSet, now: float) -> int | None:
        """Return the piece to request from a peer that holds ``held``, or None.

        While too much is requested or unverified, return :data:`~torrentnet.peer.transfer.fetcher.NOT_NOW`.
        """
        picker, length = self._picker, self._info.piece_length
        if self._verifying and len(self._verifying) * length >= MAX_VERIFYING:
            return NOT_NOW
        if picker.requested >= 2 and picker.requested * length >= MAX_REQUESTED:
            return NOT_NOW
        piece = picker.pick(held, peer, now)
        if piece is not None or not picker.all_requested:
            return piece
        piece = picker.longest_queued(held, peer, now, _has_begun)
        if piece is not None:
            picker.reassign(piece, peer, now).fetcher.cancel(piece, now)
            return piece
        piece = self._late_piece(peer, held, now)
        if piece is not None:
            picker.add_source(piece, peer)
        return piece

    def faster_peers(self, now: float) -> Iterator[RemotePeer]:
        """Yield the peers that would send a requested piece sooner.

        The caller may request pieces between two peers.
        """
        for peer in list(self._peers.values()):
            held = peer.fetcher.remote_pieces.held
            if held is None:
                continue
            queued = self._picker.longest_queued(held, peer, now, _has_begun)
            if queued is not None or self._late_piece(peer, held, now) is not None:
                yield peer

    def _late_piece(self, peer: RemotePeer, held: PieceSet, now: float) -> int | None:
        """Return the piece that would be complete much sooner if this peer sent it too."""
        slowest = self._picker.slowest(
            held, peer, lambda source, piece: source.fetcher.pipeline.time_to_complete(piece, now)
        )
        if slowest is None:
            return None
        seconds, piece = slowest
        own_seconds = peer.fetcher.pipeline.time_to_fetch(self._info.piece_size(piece))
        return piece if seconds > own_seconds * ENDGAME_SPEEDUP + ENDGAME_MIN_GAIN else None

    def release(self, peer: RemotePeer, now: float) -> None:
        """Cancel a peer's requests, so that its pieces can be requested from others."""
        pieces = peer.fetcher.pieces
        unrequested = list(self._picker.remove_source(pieces, peer))
        for piece in pieces:
            peer.fetcher.cancel(piece, now)
        if unrequested:
            self.renew_interest()

    def renew_interest(self) -> None:
        """Send ``interested`` again to the peers that have unrequested pieces."""
        for peer in self._peers.values():
            held = peer.fetcher.remote_pieces.held
            if not peer.fetcher.interested and held is not None and self._picker.any_unrequested(held):
                peer.fetcher.set_interested()

    # -- received pieces ---------------------------------------------------------------------------

    def received(self, peer: RemotePeer, piece: PieceReceived, now: float) -> bool:
        """Keep a complete piece until it is written; return False if it is not requested."""
        if not self._picker.is_requested(piece.piece):
            return False
        for other in self._picker.remove_requested(piece.piece):
            if other is not peer:
                other.fetcher.cancel(piece.piece, now)
        self._verifying[piece.piece] = VerifyingPiece(peer, peer.holder, piece.elapsed, piece.data)
        return True

    def written(self, piece: int) -> VerifyingPiece:
        """Remove and return a piece that was hashed, and written if its hash was right."""
        return self._verifying.pop(piece)

    def put_back(self, piece: int) -> None:
        """Make a piece with a wrong hash available for requests again."""
        self._picker.put_back(piece)


def _has_begun(peer: RemotePeer, piece: int) -> bool:
    return peer.fetcher.pipeline.has_data(piece)
