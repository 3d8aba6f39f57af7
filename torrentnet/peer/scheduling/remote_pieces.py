"""The pieces that a remote peer holds, from its validated messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.messages import Bitfield, Have, HaveAll, HaveNone
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.wire.peer.messages import Message

MAX_EARLY_HAVES: Final = 1 << 20
"""Messages to keep before the number of pieces is known: no file has more pieces."""


class RemotePieces:
    """The pieces that one remote peer holds.

    Messages are kept until :meth:`set_piece_count` makes them checkable.
    """

    def __init__(self, pieces: int | None = None) -> None:
        self.held: PieceSet | None = None
        """The pieces held; None until the remote peer has announced some and the number of pieces is known."""
        self._piece_count = pieces
        self._early: list[Message] = []

    def set_piece_count(self, pieces: int) -> None:
        """Set the number of pieces, and check the messages that arrived earlier.

        Raises :class:`PeerProtocolError` if an earlier message contradicts the number.
        """
        self._piece_count = pieces
        for message in self._early:
            self._apply(message, pieces)
        self._early.clear()

    def handle(self, message: Message) -> bool:
        """Handle a message; return whether it was about pieces.

        Raises :class:`PeerProtocolError` if the message is invalid.
        """
        if not isinstance(message, (Have, HaveAll, HaveNone, Bitfield)):
            return False
        if self._piece_count is not None:
            self._apply(message, self._piece_count)
            return True
        if isinstance(message, Have):
            if len(self._early) >= MAX_EARLY_HAVES:
                raise PeerProtocolError("announces more pieces than a file can have")
        else:
            # The message replaces earlier ones, except that a bitfield after HaveAll removes no pieces.
            has_all = bool(self._early) and isinstance(self._early[0], HaveAll) and isinstance(message, Bitfield)
            del self._early[has_all:]
        self._early.append(message)
        return True

    def _apply(self, message: Message, pieces: int) -> None:
        if isinstance(message, HaveAll):
            self.held = PieceSet.full(pieces)
        elif isinstance(message, HaveNone):
            self.held = PieceSet(pieces)
        elif isinstance(message, Bitfield):
            held = PieceSet.from_bitfield(pieces, message.bits)
            if self.held is None or not self.held.is_full:
                self.held = held
        elif isinstance(message, Have):
            if message.piece >= pieces:
                raise PeerProtocolError(f"has piece {message.piece} of {pieces}")
            if self.held is None:
                self.held = PieceSet(pieces)
            self.held.add(message.piece)
