"""A limit on the messages of one connection that carry no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake, Metadata
from torrentnet.wire.peer.messages import Block, Extended, Have, Request

BURST: Final = 4_000
RATE: Final = 200.0
"""Messages a second in the long run; a peer sends a few, a flood a hundred thousand."""
HANDSHAKE_COST: Final = 40
"""What an extension handshake counts for: it takes so much longer to parse."""


@dataclass(slots=True)
class MessageBudget:
    """The messages that a connection may still send now, as a token bucket."""

    now: float
    left: float = BURST

    def spend(self, event: object, now: float) -> None:
        """Count an event of the protocol.

        Raises :class:`PeerProtocolError` if the peer floods.

        Requests and blocks are free, because others limit them; a new piece is, too, because a file has so many.
        """
        if isinstance(event, (Block, Request, Have)):
            return
        self.left -= HANDSHAKE_COST if isinstance(event, (ExtensionHandshake, Extended)) else 1
        if self.left < 0:
            self.left = min(BURST, self.left + (now - self.now) * RATE)
            self.now = now
            if self.left < 0:
                kind = "metadata" if isinstance(event, Metadata) else type(event).__name__
                raise PeerProtocolError(f"floods this peer with messages, the last one {kind}")
