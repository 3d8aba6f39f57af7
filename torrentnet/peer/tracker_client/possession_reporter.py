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
        self.membership: Membership | None = None
        self.held: PieceSet | None = None
        """Kept, and looked at again."""
        self.joined = False
        """Whether the tracker knows us, so that it can be told."""
        self.supports_extension = True
        """False once the tracker has turned out to speak plain BEP 15 only."""
        self._reported_count = -1
        self._report_at = 0.0
        self._windows: list[tuple[int, int]] = []
        self._extension_seen = False
        self._announces_without_report = 0

    def due(self, now: float) -> float | None:
        """When :meth:`tick` is to be called next."""
        return max(self._report_at, now) if self._has_news() else None

    def tick(self, now: float, keepalive: float) -> None:
        """Begin a report where pieces have come, at most one in ``keepalive`` seconds."""
        if not self._has_news() or now < self._report_at:
            return
        assert self.held is not None
        self._reported_count = len(self.held)
        # One report a keep-alive: what a person or the log wants to know, not a flood on a fast link.
        self._report_at = now + keepalive
        self._windows = possession_windows(self.held.size)
        self._request_window(now)

    def report_all(self, at: float) -> None:
        """Tell all of it from ``at`` on, whatever was told."""
        self._reported_count = -1
        self._report_at = at

    def report_by(self, at: float) -> None:
        """Do not wait longer than until ``at`` with what is new."""
        self._report_at = min(self._report_at, at)

    def window_accepted(self, now: float) -> None:
        """The tracker has taken a window; the next one follows."""
        if self._windows:
            self._request_window(now)

    def window_refused(self) -> None:
        """The tracker has refused a window."""
        self.supports_extension = self._extension_seen

    def extension_confirmed(self) -> None:
        """The tracker has answered in the extension, whatever it was."""
        self._extension_seen = True

    def announce_accepted(self) -> None:
        """The tracker has answered an announce, which a plain one does while it ignores reports."""
        if self._requests.is_pending(RequestKind.POSSESSION) and not self._extension_seen:
            self._announces_without_report += 1
            if self._announces_without_report >= _PLAIN_AFTER:
                self.supports_extension = False
                self._requests.cancel(RequestKind.POSSESSION)

    def _has_news(self) -> bool:
        return (
            self.joined
            and self.supports_extension
            and self.held is not None
            and self.membership is not None
            and self.membership.piece_length > 0
            and len(self.held) != self._reported_count
            and not self._requests.is_pending(RequestKind.POSSESSION)
        )

    def _request_window(self, now: float) -> None:
        member, held, identity = self.membership, self.held, self._identity
        assert member is not None and held is not None
        first, count = self._windows.pop(0)
        self._requests.start(
            RequestKind.POSSESSION,
            lambda cid, tid: pack_possession(
                cid, tid, identity.port, member.info_hash, identity.peer_id, held, first, count
            ),
            now,
        )
