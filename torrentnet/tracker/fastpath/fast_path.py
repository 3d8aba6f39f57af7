"""Answer frequent announces, look-ups and outcomes without the handlers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from torrentnet.runtime.events import format_field
from torrentnet.tracker.handlers.lookup import NO_INFO_HASH, WITHOUT_CONNECTION_ID
from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.refusals import RefusalError
from torrentnet.tracker.settings import DEFAULT_WANT, MAX_GAP
from torrentnet.tracker.swarms.peer_table import PEER_ID_SIZE
from torrentnet.wire.endpoint import address_text
from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.names import canonical_name, decode_file_name, decode_peer_name
from torrentnet.wire.udp.connection_id import MAX_VERIFIED
from torrentnet.wire.udp.extension import VERSION
from torrentnet.wire.udp.lookup import LOOKUP_FIELDS, pack_lookup_reply_tail
from torrentnet.wire.udp.outcome import OUTCOME_FIELDS, OutcomeResult, pack_outcome_reply, parse_outcome
from torrentnet.wire.udp.packets import ANNOUNCE_REPLY_HEAD, ANNOUNCE_SIZE, MAX_PEERS, REQUEST_HEAD, Action

if TYPE_CHECKING:
    from torrentnet.tracker.core import Core
    from torrentnet.wire.udp.outcome import OutcomeSource

_ANNOUNCE: Final = int(Action.ANNOUNCE)
_MAX_CACHED_FILES: Final = 4_096
"""Names of files that are cached. Peers have more names, and nearly all of those are plain."""
_PLAIN: Final = re.compile(rb"[0-9A-Za-z_-][0-9A-Za-z._-]{0,63}").fullmatch
"""Names of peers that are valid and appear unquoted in the log."""
_SUCCEEDED: Final = int(OutcomeResult.SUCCEEDED)
_RESULTS: Final = frozenset(map(int, OutcomeResult))


class FastPath:
    """The fast path of ``core``, whose objects it shares.

    Each method returns the answer to a datagram, or None to decline it. ``fields`` are those of
    :meth:`DatagramBatch.fields`: the sender's address as a number, then the values of ``ANNOUNCE_FIELDS``. ``oldest``
    is the lowest connection id that has not expired (:meth:`ConnectionIds.oldest`). The caller flushes the core's
    audit log after each batch.
    """

    def __init__(self, core: Core) -> None:
        self._ids = core.ids
        self._registry = core.registry
        self._requests = core.requests
        self._audit_log = core.audit_log
        self._cache = core.lookup_cache
        self._is_behind = core.is_behind
        self._random = core.random
        self._interval = core.settings.interval
        self._named_holders = core.registry.limits.named_holders
        self._files: dict[bytes, tuple[str, str]] = {}
        # The address of each recently accepted connection id. The core never replaces the objects below.
        self._verified: dict[int, int] = {}
        self._by_hash = core.registry.by_hash
        self._by_name = core.registry.by_name
        self._by_number = core.requests.by_number
        self._requesters = core.requests.requesters
        table = core.registry.table
        self._peer_ids = table.peer_ids
        self._left = table.left
        self._options_hash = table.options_hash
        self._last_seen = table.last_seen
        self._longest_gap = table.longest_gap

    def announce(
        self, fields: tuple[Any, ...], size: int, options: bytes, oldest: int, now: float
    ) -> bytes | bytearray | None:
        """Answer the periodic announce of an unchanged peer.

        ``size`` is that of the datagram; fields beyond it are undefined. ``options`` are the bytes behind the fields.
        """
        if size < ANNOUNCE_SIZE:
            return None
        ip, connection, _, tid, info_hash, peer_id, left, event, ip_field, want, port = fields
        if event or ip_field:
            return None
        if (self._verified.get(connection) != ip or connection < oldest) and not self._verify(connection, ip, now):
            return None
        swarm = self._by_hash.get(info_hash)
        if swarm is None:
            return None
        row = swarm.members.get(ip << 16 | port)
        if (
            row is None
            or self._left[row] != left
            or not self._peer_ids.startswith(peer_id, row * PEER_ID_SIZE)
            or self._options_hash[row] != hash(options)
        ):
            return None
        # The same as registry.mark_seen(), without the call.
        gap = now - self._last_seen[row]
        if gap > self._longest_gap[row]:
            self._longest_gap[row] = min(gap, MAX_GAP)
        self._last_seen[row] = now
        if self._requests:
            self._requests.mark_seen(address_text(ip), peer_id, now)
        if want > MAX_PEERS:
            want = MAX_PEERS
        elif want < 0:
            want = DEFAULT_WANT
        seeders = swarm.seeders
        leechers = len(swarm.members) - seeders
        return ANNOUNCE_REPLY_HEAD.pack(_ANNOUNCE, tid, self._interval, leechers, seeders) + swarm.sample(
            row, want, self._random
        )

    def lookup(self, fields: tuple[Any, ...], data: bytes, oldest: int, now: float) -> bytes | None:
        """Answer a look-up of a peer with no other open request, from the cache."""
        if len(data) < LOOKUP_FIELDS.size:
            return None
        version, first, number, peer_id, port, name_size, peer_size = LOOKUP_FIELDS.unpack_from(data)
        ip, connection, _, tid = fields[:4]
        if (self._verified.get(connection) != ip or connection < oldest) and not self._verify(connection, ip, now):
            return None
        if self._is_behind():
            return None
        if number:
            return self._repeat_lookup(ip, tid, number, data, now)
        if version != VERSION or not port:
            return None
        middle = LOOKUP_FIELDS.size + name_size
        end = middle + peer_size
        if len(data) < end:
            return None
        try:
            file, file_field = self._files.get(data[LOOKUP_FIELDS.size : middle]) or self._file(
                data[LOOKUP_FIELDS.size : middle]
            )
            if _PLAIN(data, middle, end):
                peer_field = peer = data[middle:end].decode("ascii")
            else:
                peer = decode_peer_name(data[middle:end])
                peer_field = format_field(peer)
        except InvalidNameError:
            return None
        address = address_text(ip)
        swarm = self._by_name.get(file)
        key = address, data[WITHOUT_CONNECTION_ID]
        if swarm is None or self._cache.find(key, now) is not None:
            return None
        requester = self._requesters.get((address, peer_id))
        before = None if requester is None else requester.first
        if requester is not None and (requester.others or before is None or before.restored):
            return None
        tail = swarm.shared_tail(ip << 16 | port, peer_id, first)
        if tail is None:
            return None
        if before is not None and before.file == file:
            self._requests.abandon(before)
            self._audit_log.request_closed(before, RequestState.FAILED, now, reason="requested again")
        log_fields = f" peer={peer_field} file={file_field}"
        try:
            request = self._requests.open(
                address, port, peer_id, peer, file, swarm.info_hash, swarm.seeders, now, log_fields
            )
        except RefusalError:
            return None
        self._audit_log.request_opened(request, swarm.seeds.names(self._named_holders), now)
        answer = pack_lookup_reply_tail(tid, True, request.number, tail)
        self._cache.store(key, (True, request.number, tail), len(answer), now)
        return answer

    def outcome(self, fields: tuple[Any, ...], data: bytes, oldest: int, now: float) -> bytes | None:
        """Answer the outcome of an open request, reported by its requester."""
        if len(data) < OUTCOME_FIELDS.size:
            return None
        report = OUTCOME_FIELDS.unpack_from(data)
        version, result, _, info_hash, peer_id, number, transferred, elapsed, source_count, reason_size = report
        ip, connection, _, tid = fields[:4]
        request = self._by_number.get(number)
        if (
            request is None
            or request.peer_id != peer_id
            or request.ip != address_text(ip)
            or version != VERSION
            or result not in _RESULTS
            or ((self._verified.get(connection) != ip or connection < oldest) and not self._verify(connection, ip, now))
        ):
            return None
        reported: tuple[OutcomeSource, ...] = ()
        sources: tuple[tuple[str, int], ...] = ()
        reason = ""
        if source_count or reason_size:
            try:
                outcome = parse_outcome(data)
            except PacketError:
                return None
            reported = outcome.sources
            sources = tuple([(source.name, source.pieces) for source in reported])
            reason = outcome.reason
        request.requester.last_seen = now
        self._requests.close(request)
        if request.info_hash is None and info_hash != NO_INFO_HASH:
            request.info_hash = info_hash
        self._audit_log.request_closed(
            request,
            RequestState.SUCCEEDED if result == _SUCCEEDED else RequestState.FAILED,
            now,
            sources=sources,
            transferred=transferred,
            elapsed_ms=elapsed,
            reason=reason,
        )
        if reported:
            for member in self._registry.confirm(request.info_hash, reported):
                self._audit_log.pieces_changed(member)
        return pack_outcome_reply(tid, number)

    def _verify(self, connection: int, ip: int, now: float) -> bool:
        """Return whether a connection id is valid, and remember it if so."""
        if not self._ids.accepts(connection, address_text(ip), now):
            return False
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        self._verified[connection] = ip
        return True

    def _file(self, raw: bytes) -> tuple[str, str]:
        """Return a file's name as text and as a log field. Raises InvalidNameError."""
        file = canonical_name(decode_file_name(raw))
        if len(self._files) >= _MAX_CACHED_FILES:
            self._files.clear()
        self._files[raw] = names = file, format_field(file)
        return names

    def _repeat_lookup(self, ip: int, tid: int, number: int, data: bytes, now: float) -> bytes | None:
        """Answer another look-up under a request's number, if nothing has changed."""
        request = self._by_number.get(number)
        last = None if request is None else request.last_answer
        if (
            request is None
            or last is None
            or last.ip != ip
            or last.version is not last.swarm.version
            or not data.endswith(last.lookup)
            or len(data) != len(last.lookup) + REQUEST_HEAD
        ):
            return None
        request.requester.last_seen = now
        request.note_transaction(tid)
        return pack_lookup_reply_tail(tid, True, number, last.tail)
