"""Who is asked for which piece of a file that many give, until it is verified. A state machine without I/O.

Each piece is asked of one partner, and at the end of whoever would have it here sooner; which one is next,
:mod:`torrentnet.peer.scheduling.piece_picker` knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.peer.scheduling.piece_picker import PiecePicker, newly_held
from torrentnet.peer.strategies.effects import MAX_VERIFYING
from torrentnet.peer.transfer.fetcher import NOT_NOW
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from torrentnet.peer.strategies.remote_peer import PeerConnection, RemotePeer
    from torrentnet.peer.transfer.fetcher import PieceReceived
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.lookup import LookupHolder

MAX_REQUESTED = 32 * 1024 * 1024
"""Bytes of pieces that may be asked for at once, but always two pieces."""
ENDGAME_SPEEDUP, ENDGAME_MIN_GAIN = 1.5, 0.03
"""At the end a piece is asked of a second peer that would need so many times less, and so many seconds besides."""


@dataclass(frozen=True, slots=True)
class VerifyingPiece:
    """A piece that is here, and waits to be hashed and written."""

    partner: RemotePeer
    holder: LookupHolder
    """Who the partner was then."""
    elapsed: float
    data: bytearray


class PieceScheduler:
    """The pieces of one file that are missing, and ``partners``, who come and go, as the givers.

    ``held`` is what is here when it begins.
    """

    def __init__(
        self, info: Info, held: PieceSet, partners: Mapping[PeerConnection, RemotePeer], rng: random.Random
    ) -> None:
        self._info = info
        self._partners = partners
        self._work: PiecePicker[RemotePeer] = PiecePicker(held, rng)
        self._verifying: dict[int, VerifyingPiece] = {}

    @property
    def nothing_left(self) -> bool:
        """Whether every missing piece is asked for."""
        return self._work.nothing_left

    # What partners hold

    def count(self, partner: RemotePeer) -> None:
        """A partner has said what it holds."""
        held = partner.fetch.possession.held
        if held is None:
            return
        if partner.counted is None:
            partner.counted = PieceSet(held.size)
        self._work.known(newly_held(partner.counted, held))
        if self._work.any_for(held):
            partner.fetch.want()

    def count_one(self, partner: RemotePeer, piece: int) -> None:
        """A partner has one more piece."""
        if partner.counted is None:
            self.count(partner)
        elif piece not in partner.counted:
            partner.counted.add(piece)
            self._work.known((piece,))
        if self._work.lacks(piece):
            partner.fetch.want()

    def forget(self, partner: RemotePeer) -> None:
        """A partner is gone, and what it held with it."""
        if partner.counted is not None:
            self._work.forgotten(partner.counted)

    # Who is asked

    def next_piece(self, partner: RemotePeer, held: PieceSet, now: float) -> int | None:
        """The piece to ask a partner for, who holds ``held``; see
        :attr:`~torrentnet.peer.transfer.fetcher.PieceFetcher.next_piece`."""
        work, length = self._work, self._info.piece_length
        if self._verifying and len(self._verifying) * length >= MAX_VERIFYING:
            return NOT_NOW
        if work.asked >= 2 and work.asked * length >= MAX_REQUESTED:
            return NOT_NOW
        piece = work.take(held, partner, now)
        if piece is not None or not work.nothing_left:
            return piece
        piece = work.waiting(held, partner, now, _has_begun)
        if piece is not None:
            work.move(piece, partner, now).fetch.cancel(piece, now)
            return piece
        piece = self._late(partner, held, now)
        if piece is not None:
            work.join(piece, partner)
        return piece

    def sooner(self, now: float) -> Iterator[RemotePeer]:
        """The partners that would send sooner what others were asked for; each may be asked before the next one."""
        for partner in list(self._partners.values()):
            held = partner.fetch.possession.held
            if held is None:
                continue
            if self._work.waiting(held, partner, now, _has_begun) is None and self._late(partner, held, now) is None:
                continue
            yield partner

    def _late(self, partner: RemotePeer, held: PieceSet, now: float) -> int | None:
        """The piece that would be here much sooner if this one sent it too."""
        found = self._work.slowest(held, partner, lambda giver, piece: giver.fetch.pipeline.needs(piece, now))
        if found is None:
            return None
        seconds, piece = found
        sooner = partner.fetch.pipeline.would_need(self._info.piece_size(piece)) * ENDGAME_SPEEDUP + ENDGAME_MIN_GAIN
        return piece if seconds > sooner else None

    def release(self, partner: RemotePeer, now: float) -> None:
        """Nothing more is expected of this one for now: others may be asked for its pieces."""
        mine = partner.fetch.pieces
        back = list(self._work.given_up(mine, partner))
        for piece in mine:
            partner.fetch.cancel(piece, now)
        if back:
            self.want_again()

    def want_again(self) -> None:
        """Pieces are to be asked for again: those who have them are told that they are wanted."""
        for partner in self._partners.values():
            held = partner.fetch.possession.held
            if not partner.fetch.interested and held is not None and self._work.any_for(held):
                partner.fetch.want()

    # What has come

    def arrived(self, partner: RemotePeer, piece: PieceReceived, now: float) -> bool:
        """All of a piece is here, from a partner; False where nobody waits for it any more."""
        if not self._work.awaited(piece.piece):
            return False
        for other in self._work.arrived(piece.piece):
            if other is not partner:
                other.fetch.cancel(piece.piece, now)
        self._verifying[piece.piece] = VerifyingPiece(partner, partner.holder, piece.elapsed, piece.data)
        return True

    def written(self, piece: int) -> VerifyingPiece:
        """A piece that has arrived was hashed, and written if it was right."""
        return self._verifying.pop(piece)

    def again(self, piece: int) -> None:
        """What was hashed is no good: the piece is missing still."""
        self._work.again(piece)


def _has_begun(partner: RemotePeer, piece: int) -> bool:
    return partner.fetch.pipeline.begun(piece)
