"""The pieces that a remote peer holds, from its validated messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import Bitfield, Have, HaveAll, HaveNone
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.wire.peer.messages import Message

MAX_EARLY_HAVES: Final = 1 << 20
"""Have messages to keep before the number of pieces is known: no file has more pieces."""


class RemotePieces:
    """The pieces of one remote peer. Messages are kept until :meth:`set_piece_count` makes them checkable."""

    def __init__(self, pieces: int | None = None) -> None:
        self.held: PieceSet | None = None
        """The pieces held; None until the remote peer has announced some and the number of pieces is known."""
        self._piece_count = pieces
        self._bitfield: bytes | None = None
        self._has_all = False
        self._has_none = False
        self._early_haves: list[int] = []

    def set_piece_count(self, pieces: int) -> None:
        """Set the number of pieces. Raises :class:`PeerProtocolError` if earlier messages contradict it."""
        self._piece_count = pieces
        self._apply()

    def handle(self, message: Message) -> bool:
        """Handle a message; return whether it was about pieces. Raises :class:`PeerProtocolError` if it is invalid."""
        if isinstance(message, Have):
            self._add(message.piece)
            return True
        if isinstance(message, HaveAll):
            self._has_all, self._has_none, self._bitfield = True, False, None
        elif isinstance(message, HaveNone):
            self._has_all, self._has_none, self._bitfield = False, True, None
        elif isinstance(message, Bitfield):
            # After HaveAll, only HaveNone removes pieces, not a bitfield with fewer.
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
            held = PieceSet.from_bitfield(pieces, self._bitfield)
            self.held = self.held if self.held is not None and self.held.is_full else held
        if self._has_all:
            self.held = PieceSet.full(pieces)
        elif self._has_none:
            self.held = PieceSet(pieces)
        self._has_all = self._has_none = False
        self._bitfield = None
        for piece in self._early_haves:
            self._add(piece)
        self._early_haves.clear()
