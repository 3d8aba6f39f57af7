"""The tracker without a socket: a datagram in, a datagram or nothing out (BEP 15, BEP 41, docs/protocol.md).

Nothing before a valid connection id changes anything, or gets back more bytes than it sent.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.fastpath.fast_announce import FastAnnounce
from torrentnet.tracker.fastpath.fast_path import FastRequests
from torrentnet.tracker.handlers.announce import AnnounceHandler
from torrentnet.tracker.handlers.lookup import LookupHandler
from torrentnet.tracker.handlers.response_cache import ResponseCache
from torrentnet.tracker.journal.audit_log import AuditLog
from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.limits import Limits
from torrentnet.tracker.refusals import Emit, RefusalError, RefusalLog, RefusalReason
from torrentnet.tracker.swarms.open_requests import OpenRequests
from torrentnet.tracker.swarms.registry import SwarmRegistry
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp.packets import (
    PROTOCOL_ID,
    REQUEST_HEAD,
    Action,
    AnnounceEvent,
    pack_connect_reply,
    pack_error,
    parse_announce,
    unpack_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from torrentnet.tracker.journal.records import Record, RequestOpened
    from torrentnet.tracker.settings import TrackerSettings
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.connection_id import ConnectionIds

ID_REFUSED: Final = "connection id refused: connect again"
MAX_EXPIRED_PER_TURN: Final = 200
"""Peers that are forgotten before the next datagrams are looked at: all may fall silent at once."""
CATCH_UP_DELAY: Final = 0.05
"""How long forgetting waits when the log is behind."""
_CONNECT, _ANNOUNCE, _LOOKUP = int(Action.CONNECT), int(Action.ANNOUNCE), int(Action.LOOKUP)
_STARTED, _STOPPED = int(AnnounceEvent.STARTED), int(AnnounceEvent.STOPPED)


class Core:
    """All that the tracker does with datagrams and with time.

    ``now`` is always the same clock's reading in seconds, never going back; ``wall`` gives the time of day for the
    log. ``emit`` writes an event, ``tell`` event lines that are whole already, ``write`` takes journal records.
    ``random`` chooses which peers an announce lists. ``given`` are files whose names are known beforehand. While
    ``behind()``, what makes the log longer is left unanswered, so that it comes again at a better time: look-ups, and
    peers that are new.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        ids: ConnectionIds,
        *,
        emit: Emit,
        tell: Callable[[Sequence[str]], None],
        write: Callable[[Sequence[Record]], None],
        wall: Callable[[], float],
        random: Random,
        first_request: int = 1,
        limits: Limits | None = None,
        given: Iterable[Info] = (),
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings
        limits = limits or Limits()
        self.registry = SwarmRegistry(settings.timeout, limits, given)
        self.requests = OpenRequests(settings.timeout, first_request, limits)
        self._chronicle = AuditLog(emit, tell, write, wall)
        self.refusals = RefusalLog(self._chronicle.emit)
        self._behind = behind
        self._not_before = -math.inf
        self.received = 0
        """Datagrams taken in."""
        self.ids = ids
        kept = limits.answers, limits.answer_bytes, limits.answer_s
        announces = AnnounceHandler(
            settings,
            self.registry,
            self.requests,
            self._chronicle,
            self.refusals,
            ResponseCache(*kept),
            random,
        )
        # Answers of their own, so that a wave of announces does not push out what keeps a row from being written twice.
        lookups = LookupHandler(
            settings, self.registry, self.requests, self._chronicle, self.refusals, ResponseCache(*kept)
        )
        self.quick = FastAnnounce(settings, ids, self.registry, self.requests, random)
        """A short way for most announces; what it does not answer goes to :meth:`handle`."""
        self.quick_requests = FastRequests(
            self.quick.proved, self.quick.prove, self.registry, self.requests, self._chronicle, lookups, behind
        )
        """The same for look-ups and outcomes; :meth:`flush` afterwards."""
        self._desks: dict[int, Callable[[bytes, tuple[str, int], float], bytes]] = {
            int(Action.ANNOUNCE): announces.announce,
            int(Action.SCRAPE): announces.scrape,
            int(Action.LOOKUP): lookups.lookup,
            int(Action.POSSESSION): announces.possession,
            int(Action.OUTCOME): lookups.outcome,
        }

    def load(self, waiting: Iterable[RequestOpened], now: float) -> None:
        """Take over the requests that an earlier life left open."""
        for record in waiting:
            self.requests.load(record, now)

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """The answer to one datagram, or None for silence. Never raises for what the datagram holds."""
        try:
            return self._handle(data, source, now)
        finally:
            self._chronicle.flush()

    def flush(self) -> None:
        """Write to the log and to the journal what the short way has done."""
        self._chronicle.flush()

    def _handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        self.received += 1
        if len(data) < REQUEST_HEAD:
            self.refusals.count(RefusalReason.SHORT)
            return None
        connection_id, action, transaction_id = unpack_head(data)
        if action == _CONNECT and connection_id == PROTOCOL_ID:
            return pack_connect_reply(transaction_id, self.ids.issue(source[0], now))
        if not self.ids.accepts(connection_id, source[0], now):
            self.refusals.tell(RefusalReason.CONNECTION_ID, _what(action), source, ID_REFUSED, now)
            answer = pack_error(transaction_id, ID_REFUSED)
            return answer if len(answer) <= len(data) else None
        desk = self._desks.get(action)
        if desk is None:
            text = f"unknown action {action}"
            self.refusals.tell(RefusalReason.UNKNOWN_ACTION, "packet", source, text, now)
            return pack_error(transaction_id, text)
        if self._behind() and self._is_new_work(action, data, source):
            self.refusals.count(RefusalReason.BEHIND)
            return None
        try:
            return desk(data, source, now)
        except PacketError as error:
            self.refusals.tell(RefusalReason.MALFORMED, _what(action), source, error.message, now)
            return pack_error(transaction_id, error.message) if error.sendable else None
        except RefusalError as error:
            self.refusals.tell(error.reason, _what(action), source, error.message, now)
            return pack_error(transaction_id, error.message)

    @property
    def next_expiry(self) -> float:
        """:meth:`expire` has nothing to do before this moment; infinity when nobody is known."""
        return max(min(self.registry.next_expiry, self.requests.next_expiry), self._not_before)

    def expire(self, now: float) -> None:
        """Forget those who have been silent for too long, some of them at a time, and end their requests."""
        if self._behind():
            self._not_before = now + CATCH_UP_DELAY
            return
        for holder in islice(self.registry.late(now), MAX_EXPIRED_PER_TURN):
            self.registry.remove(holder)
            self._chronicle.forgotten(holder, now - holder.seen)
        for row in self.requests.late(now):
            silent = now - row.asker.seen
            self._chronicle.outcome(row, RequestState.LOST, now, reason=f"the peer was silent for {silent:.1f} s")
        self._chronicle.flush()

    def _is_new_work(self, action: int, data: bytes, source: tuple[str, int]) -> bool:
        if action == _LOOKUP:
            return True
        if action != _ANNOUNCE:
            return False
        try:
            announce = parse_announce(data)
        except PacketError:
            return False
        if announce.event == _STOPPED:
            return False
        return announce.event == _STARTED or not self.registry.find(announce.info_hash, source[0], announce.port)


def _what(action: int) -> str:
    try:
        return Action(action).name.lower()
    except ValueError:
        return "packet"
