"""Which pieces the other end of a connection holds, as it says itself; no word of it is believed unchecked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import Bitfield, Have, HaveAll, HaveNone
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.wire.peer.messages import Message

MAX_EARLY_HAVES = 1 << 20
"""Pieces announced before we know how many there are: no file has more."""


class RemotePieces:
    """What one peer holds. Before :meth:`settle` has told how many pieces there are, what it says is kept as said."""

    def __init__(self, pieces: int | None = None) -> None:
        self.held: PieceSet | None = None
        """None until it has said something, and the number of pieces is known."""
        self._piece_count = pieces
        self._bitfield: bytes | None = None
        self._has_all = False
        self._has_none = False
        self._early_haves: list[int] = []

    def set_piece_count(self, pieces: int) -> None:
        """The file has so many pieces. Raises :class:`PeerProtocolError` when what was said before does not fit."""
        self._piece_count = pieces
        self._apply()

    def handle(self, message: Message) -> bool:
        """Read a message; whether it was one about possession. Raises :class:`PeerProtocolError` for nonsense."""
        if isinstance(message, Have):
            self._add(message.piece)
            return True
        if isinstance(message, HaveAll):
            self._has_all, self._has_none, self._bitfield = True, False, None
        elif isinstance(message, HaveNone):
            self._has_all, self._has_none, self._bitfield = False, True, None
        elif isinstance(message, Bitfield):
            # Who has said that it has all does not lose any by saying less; HaveNone does that.
            self._has_none, self._bitfield = False, message.bits
        else:
            return False
        self._early_haves.clear()
        self._apply()
        return True

    def _add(self, piece: int) -> None:
        held, pieces = self.held, self._piece_count
        if pieces is None:
            if len(self._early_haves) >= MAX_EARLY_HAVES:
                raise PeerProtocolError("announces more pieces than a file can have")
            self._early_haves.append(piece)
            return
        if piece >= pieces:
            raise PeerProtocolError(f"has piece {piece} of {pieces}")
        if held is None:
            held = self.held = PieceSet(pieces)
        held.add(piece)

    def _apply(self) -> None:
        pieces = self._piece_count
        if pieces is None:
            return
        if self._bitfield is not None:
            said = PieceSet.from_bitfield(pieces, self._bitfield)
            self.held = self.held if self.held is not None and self.held.is_full else said
        if self._has_all:
            self.held = PieceSet.full(pieces)
        elif self._has_none:
            self.held = PieceSet(pieces)
        self._has_all = self._has_none = False
        self._bitfield = None
        for piece in self._early_haves:
            self._add(piece)
        self._early_haves.clear()
