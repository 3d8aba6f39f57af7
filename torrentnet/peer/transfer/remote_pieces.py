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
        self._pieces = pieces
        self._bits: bytes | None = None
        self._all = False
        self._none = False
        self._early: list[int] = []

    def settle(self, pieces: int) -> None:
        """The file has so many pieces. Raises :class:`PeerProtocolError` when what was said before does not fit."""
        self._pieces = pieces
        self._read()

    def take(self, message: Message) -> bool:
        """Read a message; whether it was one about possession. Raises :class:`PeerProtocolError` for nonsense."""
        if isinstance(message, Have):
            self._have(message.piece)
            return True
        if isinstance(message, HaveAll):
            self._all, self._none, self._bits = True, False, None
        elif isinstance(message, HaveNone):
            self._all, self._none, self._bits = False, True, None
        elif isinstance(message, Bitfield):
            # Who has said that it has all does not lose any by saying less; HaveNone does that.
            self._none, self._bits = False, message.bits
        else:
            return False
        self._early.clear()
        self._read()
        return True

    def _have(self, piece: int) -> None:
        held, pieces = self.held, self._pieces
        if pieces is None:
            if len(self._early) >= MAX_EARLY_HAVES:
                raise PeerProtocolError("announces more pieces than a file can have")
            self._early.append(piece)
            return
        if piece >= pieces:
            raise PeerProtocolError(f"has piece {piece} of {pieces}")
        if held is None:
            held = self.held = PieceSet(pieces)
        held.add(piece)

    def _read(self) -> None:
        pieces = self._pieces
        if pieces is None:
            return
        if self._bits is not None:
            said = PieceSet.from_bitfield(pieces, self._bits)
            self.held = self.held if self.held is not None and self.held.is_full else said
        if self._all:
            self.held = PieceSet.full(pieces)
        elif self._none:
            self.held = PieceSet(pieces)
        self._all = self._none = False
        self._bits = None
        for piece in self._early:
            self._have(piece)
        self._early.clear()
