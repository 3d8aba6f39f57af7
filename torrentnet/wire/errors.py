"""The errors of the programs, from their common base down.

- :class:`TorrentnetError`
    - :class:`LocalError`: we, or the person at the keyboard, asked for what cannot be
        - :class:`InvalidNameError`: a file or peer name that must not be used
    - :class:`RemoteError`: the other side sent what must not be sent
        - :class:`BencodeError`: not bencoded, or past a limit
        - :class:`MetainfoError`: an info dictionary or torrent file that makes no sense
        - :class:`PacketError`: a tracker datagram that does not parse
        - :class:`PeerProtocolError`: a peer broke the peer protocol
"""

from __future__ import annotations


class TorrentnetError(Exception):
    """What a person reads: one line that names the cause, and a hint that names the remedy (may be empty)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class LocalError(TorrentnetError):
    """Our own side asked for something that cannot be done."""


class InvalidNameError(LocalError):
    """A name is no plain file or peer name."""


class RemoteError(TorrentnetError):
    """The other side sent something that it must not send."""


class BencodeError(RemoteError):
    """Bytes are not bencoded, or go past a limit."""


class MetainfoError(RemoteError):
    """An info dictionary contradicts itself, or goes past a limit."""


class PacketError(RemoteError):
    """A tracker datagram does not parse.

    ``sendable`` says whether the sender may be told: only what was found wrong behind a valid
    connection id may cost us an answer.
    """

    def __init__(self, message: str, *, sendable: bool = False) -> None:
        super().__init__(message)
        self.sendable = sendable


class PeerProtocolError(RemoteError):
    """A peer broke the peer protocol; the connection is of no more use."""
