"""The pieces that a remote peer holds, from its validated messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.peer.messages import Bitfield, Have, HaveAll, HaveNone
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.wire.peer.messages import Message

MAX_REPEATS: Final = 2_000
"""Messages without news after which the peer counts as flooding."""
STATE_WEIGHT: Final = 100
"""What a bitfield, or a message in place of one, counts for after the first: BEP 6 allows exactly one."""
_MAX_BITFIELD: Final = (MAX_PIECES + 7) // 8


class RemotePieces:
    """The pieces that one remote peer holds.

    Until :meth:`set_piece_count` makes the messages checkable, their result is kept: at most one message in place of a
    bitfield, and a bit for each piece announced since.
    """

    def __init__(self, pieces: int | None = None) -> None:
        self.held: PieceSet | None = None
        """The pieces held; None until the remote peer has announced some and the number of pieces is known."""
        self._piece_count = pieces
        self._early_state: HaveAll | HaveNone | Bitfield | None = None
        self._early_haves: PieceSet | None = None
        self._has_state = False
        self._repeats = 0

    def set_piece_count(self, pieces: int) -> None:
        """Set the number of pieces, and check the messages that arrived earlier.

        Raises :class:`PeerProtocolError` if an earlier message contradicts the number.
        """
        self._piece_count = pieces
        state, haves = self._early_state, self._early_haves
        self._early_state = self._early_haves = None
        if state is not None:
            self._apply_state(state, pieces)
        for piece in haves or ():
            self._add(piece, pieces)

    def handle(self, message: Message) -> bool:
        """Handle a message; return whether it was about pieces.

        Raises :class:`PeerProtocolError` if the message is invalid, or one of too many without news.
        """
        if isinstance(message, Have):
            if self._piece_count is not None:
                self._add(message.piece, self._piece_count)
            else:
                self._add_early(message.piece)
        elif isinstance(message, (HaveAll, HaveNone, Bitfield)):
            if self._has_state:
                self._count_repeat(STATE_WEIGHT)
            self._has_state = True
            if self._piece_count is not None:
                self._apply_state(message, self._piece_count)
            else:
                self._keep_state(message)
        else:
            return False
        return True

    def _add_early(self, piece: int) -> None:
        if piece >= MAX_PIECES:
            raise PeerProtocolError(f"has piece {piece}; no file has more than {MAX_PIECES}")
        haves = self._early_haves
        if haves is None or piece >= haves.size:
            # Twice as many as needed, so that pieces in order are not copied each time.
            grown = PieceSet(min(MAX_PIECES, 2 * piece + 8), haves or ())
            haves = self._early_haves = grown
        if piece in haves:
            self._count_repeat(1)
        haves.add(piece)

    def _keep_state(self, message: HaveAll | HaveNone | Bitfield) -> None:
        if isinstance(message, Bitfield):
            if len(message.bits) > _MAX_BITFIELD:
                raise PeerProtocolError(f"bitfield of {len(message.bits)} bytes; no file has so many pieces")
            if isinstance(self._early_state, HaveAll):
                # A bitfield after HaveAll removes no pieces.
                return
        self._early_state, self._early_haves = message, None

    def _apply_state(self, message: HaveAll | HaveNone | Bitfield, pieces: int) -> None:
        if isinstance(message, HaveAll):
            self.held = PieceSet.full(pieces)
        elif isinstance(message, HaveNone):
            self.held = PieceSet(pieces)
        else:
            held = PieceSet.from_bitfield(pieces, message.bits)
            if self.held is None or not self.held.is_full:
                self.held = held

    def _add(self, piece: int, pieces: int) -> None:
        if piece >= pieces:
            raise PeerProtocolError(f"has piece {piece} of {pieces}")
        if self.held is None:
            self.held = PieceSet(pieces)
        if piece in self.held:
            self._count_repeat(1)
        self.held.add(piece)

    def _count_repeat(self, weight: int) -> None:
        self._repeats += weight
        if self._repeats > MAX_REPEATS:
            raise PeerProtocolError("repeats which pieces it has too often")
