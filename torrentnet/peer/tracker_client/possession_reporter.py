"""Reports of the held pieces to a tracker that supports the extension.

The pieces are reported window by window. This module does no I/O.

Tested by tests/unit/peer/tracker_client/test_session.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.peer.tracker_client.requests import RequestKind
from torrentnet.wire.udp.possession import pack_possession, possession_windows

if TYPE_CHECKING:
    from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
    from torrentnet.peer.tracker_client.requests import PendingRequests
    from torrentnet.wire.piece_set import PieceSet

_MAX_IGNORED: Final = 4
"""Announces answered while a report is not, after which the tracker counts as plain BEP 15."""


class PossessionReporter:
    """Report which pieces of one file are held, once :attr:`joined` is set."""

    def __init__(self, identity: AnnounceIdentity, requests: PendingRequests) -> None:
        self._identity = identity
        self._requests = requests
        self.membership: Membership | None = None
        self.held: PieceSet | None = None
        """The caller's own set, which is read at each report."""
        self.joined = False
        """Whether the tracker lists this peer."""
        self.supports_extension = True
        """False once the tracker has turned out to support only BEP 15."""
        self._reported_count = -1
        self._report_at = 0.0
        self._windows: list[tuple[int, int]] = []
        self.extension_seen = False
        """Whether the tracker has replied to a request of the extension."""
        self._announces_without_report = 0

    def due(self, now: float) -> float | None:
        """Return when to call :meth:`tick` next."""
        return max(self._report_at, now) if self._has_news() else None

    def tick(self, now: float, keepalive: float) -> None:
        """Start a report if there are new pieces, at most one in ``keepalive`` seconds."""
        if not self._has_news() or now < self._report_at:
            return
        assert self.held is not None
        self._reported_count = len(self.held)
        self._report_at = now + keepalive
        self._windows = possession_windows(self.held.size)
        self._request_window(now)

    def report_all(self, at: float) -> None:
        """Report all pieces again, not before ``at``."""
        self._reported_count = -1
        self._report_at = at

    def report_by(self, at: float) -> None:
        """Report new pieces at the latest at ``at``."""
        self._report_at = min(self._report_at, at)

    def window_accepted(self, now: float) -> None:
        """Send the next window after the tracker has accepted one."""
        if self._windows:
            self._request_window(now)

    def window_refused(self) -> None:
        """Stop reporting after the tracker has refused a window of pieces.

        Reports continue if the tracker has ever used the extension.
        """
        self.supports_extension = self.extension_seen

    def announce_accepted(self) -> None:
        """Count an answered announce to detect a tracker without the extension.

        A plain tracker answers announces and ignores reports.
        """
        if self._requests.is_pending(RequestKind.POSSESSION) and not self.extension_seen:
            self._announces_without_report += 1
            if self._announces_without_report >= _MAX_IGNORED:
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
        membership, held, identity = self.membership, self.held, self._identity
        assert membership is not None and held is not None
        first, count = self._windows.pop(0)
        self._requests.start(
            RequestKind.POSSESSION,
            lambda cid, tid: pack_possession(
                cid, tid, identity.port, membership.info_hash, identity.peer_id, held, first, count
            ),
            now,
        )
