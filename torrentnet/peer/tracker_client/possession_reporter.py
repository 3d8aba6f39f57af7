"""What a peer holds, told to the tracker window after window, until it turns out to speak plain BEP 15 only. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.peer.tracker_client.requests import RequestKind
from torrentnet.wire.udp.possession import pack_possession, possession_windows

if TYPE_CHECKING:
    from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
    from torrentnet.peer.tracker_client.requests import PendingRequests
    from torrentnet.wire.piece_set import PieceSet

_PLAIN_AFTER = 4
"""Keep-alives answered while a possession report was not: this tracker does not speak the extension."""


class PossessionReporter:
    """One file of one peer: which pieces are held, and how much of that the tracker has been told.

    Nothing is told before :attr:`joined` is set.
    """

    def __init__(self, identity: AnnounceIdentity, requests: PendingRequests) -> None:
        self._identity = identity
        self._requests = requests
        self.member: Membership | None = None
        self.held: PieceSet | None = None
        """Kept, and looked at again."""
        self.joined = False
        """Whether the tracker knows us, so that it can be told."""
        self.extended = True
        """False once the tracker has turned out to speak plain BEP 15 only."""
        self._reported = -1
        self._report_at = 0.0
        self._windows: list[tuple[int, int]] = []
        self._extension_known = False
        self._extension_silence = 0

    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""
        return max(self._report_at, now) if self._wanted() else None

    def tick(self, now: float, keepalive: float) -> None:
        """Begin a report where pieces have come, at most one in ``keepalive`` seconds."""
        if not self._wanted() or now < self._report_at:
            return
        assert self.held is not None
        self._reported = len(self.held)
        # One report a keep-alive: what a person or the log wants to know, not a flood on a fast link.
        self._report_at = now + keepalive
        self._windows = possession_windows(self.held.size)
        self._ask_window(now)

    def again(self, at: float) -> None:
        """Tell all of it from ``at`` on, whatever was told."""
        self._reported = -1
        self._report_at = at

    def soon(self, at: float) -> None:
        """Do not wait longer than until ``at`` with what is new."""
        self._report_at = min(self._report_at, at)

    def answered(self, now: float) -> None:
        """The tracker has taken a window; the next one follows."""
        if self._windows:
            self._ask_window(now)

    def refused(self) -> None:
        """The tracker has refused a window."""
        self.extended = self._extension_known

    def speaks_extension(self) -> None:
        """The tracker has answered in the extension, whatever it was."""
        self._extension_known = True

    def announce_answered(self) -> None:
        """The tracker has answered an announce, which a plain one does while it ignores reports."""
        if self._requests.busy(RequestKind.POSSESSION) and not self._extension_known:
            self._extension_silence += 1
            if self._extension_silence >= _PLAIN_AFTER:
                self.extended = False
                self._requests.forget(RequestKind.POSSESSION)

    def _wanted(self) -> bool:
        return (
            self.joined
            and self.extended
            and self.held is not None
            and self.member is not None
            and self.member.piece_length > 0
            and len(self.held) != self._reported
            and not self._requests.busy(RequestKind.POSSESSION)
        )

    def _ask_window(self, now: float) -> None:
        member, held, identity = self.member, self.held, self._identity
        assert member is not None and held is not None
        first, count = self._windows.pop(0)
        self._requests.ask(
            RequestKind.POSSESSION,
            lambda cid, tid: pack_possession(
                cid, tid, identity.port, member.info_hash, identity.peer_id, held, first, count
            ),
            now,
        )
