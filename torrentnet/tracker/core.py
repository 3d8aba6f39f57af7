"""The tracker without a socket: handle one datagram, return its answer or None.

Sources: BEP 15, BEP 41, docs/protocol.md. A datagram without a valid connection id changes no state, and the answer to
such a datagram is never longer than the datagram.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.handlers.announce import AnnounceHandler
from torrentnet.tracker.handlers.lookup import LookupHandler
from torrentnet.tracker.handlers.response_cache import ResponseCache
from torrentnet.tracker.journal.audit_log import AuditLog
from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.refusals import RefusalError, RefusalLog, RefusalReason
from torrentnet.tracker.settings import Limits
from torrentnet.tracker.swarms.open_requests import OpenRequest, OpenRequests, Requester
from torrentnet.tracker.swarms.registry import SwarmRegistry
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp.error_texts import CONNECTION_ID_REFUSED
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

    from torrentnet.tracker.handlers.lookup import LookupAnswer
    from torrentnet.tracker.handlers.response_cache import RequestKey
    from torrentnet.tracker.journal.records import Record, RequestOpened
    from torrentnet.tracker.settings import TrackerSettings
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.connection_id import ConnectionIds

ID_REFUSED: Final = f"{CONNECTION_ID_REFUSED}: connect again"
MAX_EXPIRED_PER_TURN: Final = 200
"""Most peers that expire before the next datagrams are handled: all may fall silent at once."""
CATCH_UP_DELAY: Final = 0.05
"""How long expiry is postponed when the journal is behind."""
_CONNECT: Final = int(Action.CONNECT)
_ANNOUNCE: Final = int(Action.ANNOUNCE)
_LOOKUP: Final = int(Action.LOOKUP)
_STARTED: Final = int(AnnounceEvent.STARTED)
_STOPPED: Final = int(AnnounceEvent.STOPPED)


class Core:
    """The tracker's state, changed by datagrams and by time.

    ``now`` is the reading of one monotonic clock in seconds; ``wall_clock`` returns the time of day for the log.
    ``emit`` writes an event, ``emit_lines`` finished event lines, ``write`` journal records. ``random`` chooses the
    peers that an announce reply lists. The names of ``known_files`` are reserved. While ``is_behind()`` is true,
    look-ups and announces of new peers, which make the journal longer, get no answer; their senders repeat them later.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        ids: ConnectionIds,
        *,
        emit: Callable[..., None],
        emit_lines: Callable[[Sequence[str]], None],
        write: Callable[[Sequence[Record]], None],
        wall_clock: Callable[[], float],
        random: Random,
        first_request: int = 1,
        limits: Limits | None = None,
        known_files: Iterable[Info] = (),
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings
        self.ids = ids
        self.random = random
        self.is_behind = is_behind
        limits = limits or Limits()
        self.registry = SwarmRegistry(settings.timeout, limits, known_files)
        self.requests = OpenRequests(settings.timeout, first_request, limits)
        self.audit_log = AuditLog(emit, emit_lines, write, wall_clock)
        self.refusals = RefusalLog(self.audit_log.emit)
        self.received = 0
        """Datagrams received."""
        self.unsent = 0
        """Answers that the kernel did not accept."""
        self._expiry_postponed_until = -math.inf
        bounds = limits.answers, limits.answer_bytes, limits.answer_s
        # Two caches: a wave of announces must not evict answers to look-ups, whose repeats would then be logged twice.
        announce_cache: ResponseCache[RequestKey, bytes] = ResponseCache(*bounds)
        self.lookup_cache: ResponseCache[tuple[str, bytes], LookupAnswer] = ResponseCache(*bounds)
        """Answers by the requester's address and the look-up without its connection id."""
        times_ms = settings.keepalive_ms, settings.timeout_ms
        state = self.registry, self.requests, self.audit_log, self.refusals, times_ms
        announces = AnnounceHandler(*state, announce_cache, settings.interval, random)
        lookups = LookupHandler(*state, self.lookup_cache)
        self._handlers: dict[int, Callable[[bytes, tuple[str, int], float], bytes]] = {
            int(Action.ANNOUNCE): announces.announce,
            int(Action.SCRAPE): announces.scrape,
            int(Action.LOOKUP): lookups.lookup,
            int(Action.POSSESSION): announces.possession,
            int(Action.OUTCOME): lookups.outcome,
        }

    def restore(self, waiting: Iterable[RequestOpened], now: float) -> None:
        """Reopen the requests that an earlier process left without an outcome.

        Also record the files whose names are reserved.
        """
        for info in self.registry.known_files:
            self.audit_log.file_known(info)
        self.audit_log.flush()
        for record in waiting:
            _, number, peer, ip, port, peer_id, file, info_hash, _, count = record
            request = OpenRequest(number, Requester(now), ip, port, peer_id, peer, file, info_hash, count)
            self.requests.restore(request, now)

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """Return the answer to a datagram, or None. No datagram makes this raise."""
        try:
            return self._handle(data, source, now)
        finally:
            self.audit_log.flush()

    def _handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        self.received += 1
        if len(data) < REQUEST_HEAD:
            self.refusals.count(RefusalReason.SHORT)
            return None
        connection_id, action, transaction_id = unpack_head(data)
        if action == _CONNECT and connection_id == PROTOCOL_ID:
            return pack_connect_reply(transaction_id, self.ids.issue(source[0], now))
        if not self.ids.accepts(connection_id, source[0], now):
            self.refusals.report(RefusalReason.CONNECTION_ID, _action_name(action), source, ID_REFUSED, now)
            answer = pack_error(transaction_id, ID_REFUSED)
            return answer if len(answer) <= len(data) else None
        handler = self._handlers.get(action)
        if handler is None:
            text = f"unknown action {action}"
            self.refusals.report(RefusalReason.UNKNOWN_ACTION, "packet", source, text, now)
            return pack_error(transaction_id, text)
        if self.is_behind() and self._is_new_work(action, data, source):
            self.refusals.count(RefusalReason.BEHIND)
            return None
        try:
            return handler(data, source, now)
        except PacketError as error:
            self.refusals.report(RefusalReason.MALFORMED, _action_name(action), source, error.message, now)
            return pack_error(transaction_id, error.message) if error.sendable else None
        except RefusalError as error:
            self.refusals.report(error.reason, _action_name(action), source, error.message, now)
            return pack_error(transaction_id, error.message)

    @property
    def next_deadline(self) -> float:
        """No peer expires before this time; infinity when none is known."""
        return max(min(self.registry.next_deadline, self.requests.next_deadline), self._expiry_postponed_until)

    def expire(self, now: float) -> None:
        """Remove peers whose time-out has passed, a limited number per call."""
        if self.is_behind():
            self._expiry_postponed_until = now + CATCH_UP_DELAY
            return
        for member in islice(self.registry.expire(now), MAX_EXPIRED_PER_TURN):
            self.registry.remove(member)
            self.audit_log.member_expired(member, now - member.last_seen)
        for request in self.requests.expire(now):
            reason = f"the peer was silent for {now - request.requester.last_seen:.1f} s"
            self.audit_log.request_closed(request, RequestState.LOST, now, reason=reason)
        self.audit_log.flush()

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


def _action_name(action: int) -> str:
    try:
        return Action(action).name.lower()
    except ValueError:
        return "packet"
