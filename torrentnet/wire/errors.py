"""The errors of the programs and the lab, from their common base down.

- :class:`TorrentnetError`
    - :class:`LocalError`: our own side asked for what cannot be done
        - :class:`InvalidNameError`: not a plain file or peer name
    - :class:`RemoteError`: the other side broke a protocol
        - :class:`BencodeError`: not bencoded, or past a limit
        - :class:`MetainfoError`: an info dictionary, torrent file or magnet link that is not valid
        - :class:`PacketError`: a tracker datagram that does not parse
        - :class:`PeerProtocolError`: a peer broke the peer protocol

Tested by tests/unit/wire/test_refusals.py.
"""

from __future__ import annotations


class TorrentnetError(Exception):
    """Base class of the errors that are shown to a person.

    ``message`` names the cause, ``hint`` the remedy (may be empty).
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class LocalError(TorrentnetError):
    """Our own side, or the user, asked for something that cannot be done."""


class InvalidNameError(LocalError):
    """A name is not a plain file or peer name."""


class RemoteError(TorrentnetError):
    """The other side sent something that the protocol forbids."""


class BencodeError(RemoteError):
    """Bytes are not bencoded, or exceed a limit."""


class MetainfoError(RemoteError):
    """Error for an invalid info dictionary, torrent file or magnet link.

    It is also raised when one of them exceeds a limit.
    """


class PacketError(RemoteError):
    """A tracker datagram does not parse.

    ``sendable`` says whether the tracker may reply with the message: only to a sender whose connection id was valid.
    """

    def __init__(self, message: str, *, sendable: bool = False) -> None:
        super().__init__(message)
        self.sendable = sendable


class PeerProtocolError(RemoteError):
    """A peer broke the peer protocol; the connection must be closed."""


def os_error_text(error: OSError) -> str:
    """Return the system's text for an error, in lower case.

    An example is "connection refused".
    """
    return (error.strerror or str(error)).lower()
