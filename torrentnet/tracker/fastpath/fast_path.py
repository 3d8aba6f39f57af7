"""The short way for look-ups and outcomes: those of a peer that asks for one file, which has seeds, and then gets it.

As :mod:`~torrentnet.tracker.fastpath.fast_announce` does for announces, it answers what the core would answer, and
leaves what the core
would leave, or says that the datagram is not for it and has changed nothing.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any, Final

from torrentnet.runtime.events import format_field
from torrentnet.tracker.journal.records import RequestState
from torrentnet.tracker.refusals import RefusalError
from torrentnet.wire.endpoint import address_text
from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.names import decode_file_name, decode_peer_name
from torrentnet.wire.udp.extension import VERSION
from torrentnet.wire.udp.lookup import pack_lookup_reply_tail
from torrentnet.wire.udp.outcome import OutcomeResult as Reported
from torrentnet.wire.udp.outcome import pack_outcome_reply, parse_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.tracker.handlers.lookup import LookupHandler
    from torrentnet.tracker.journal.audit_log import AuditLog
    from torrentnet.tracker.swarms.open_requests import OpenRequests
    from torrentnet.tracker.swarms.registry import SwarmRegistry

_LOOKUP: Final = struct.Struct(">16xBxHI20sHBB")
_OUTCOME: Final = struct.Struct(">16xBB2x20s20sIQIBB2x")
_ASKED: Final = 16
"""Where a look-up goes on behind its transaction id."""
_IDENTITY: Final = slice(8, None)
"""What two datagrams have in common that are the same request: all but the connection id."""
_MAX_CACHED_FILES: Final = 4_096
"""Names of files that are remembered. Those of peers are not: they are more, and nearly all are plain."""
_PLAIN: Final = re.compile(rb"[0-9A-Za-z_-][0-9A-Za-z._-]{0,63}").fullmatch
"""Names of peers that are good, and are told as they are."""
_NO_HASH: Final = bytes(20)
_SUCCEEDED: Final = int(Reported.SUCCEEDED)
_REPORTED: Final = frozenset(map(int, Reported))


class FastRequests:
    """``proved`` are connection ids that were good a moment ago, with their addresses; ``prove`` looks at another one.

    The other parts are the core's.
    """

    def __init__(
        self,
        proved: dict[int, int],
        prove: Callable[[int, int, float], bool],
        registry: SwarmRegistry,
        requests: OpenRequests,
        chronicle: AuditLog,
        desk: LookupHandler,
        behind: Callable[[], bool],
    ) -> None:
        self._proved = proved
        self._prove = prove
        self._requests = requests
        self._chronicle = chronicle
        self._answered = desk.answered
        self._behind = behind
        self._named_holders = registry.limits.named_holders
        self._files: dict[bytes, tuple[str, str]] = {}
        # Registry and requests keep these as long as they live.
        self._names = registry.by_name
        self._rows = requests.open_rows
        self._askers = requests.askers

    def lookup(self, fields: tuple[Any, ...], data: bytes, oldest: int, now: float) -> bytes | None:
        """The answer to a look-up, or None when the core is to answer it.

        ``fields`` are those of :meth:`~torrentnet.tracker.fastpath.fast_announce.FastAnnounce.answer`, of which the
        first four count.
        """
        if len(data) < _LOOKUP.size:
            return None
        version, first, number, peer_id, port, name_size, peer_size = _LOOKUP.unpack_from(data)
        ip, connection, _, tid = fields[:4]
        if (self._proved.get(connection) != ip or connection < oldest) and not self._prove(connection, ip, now):
            return None
        if self._behind():
            return None
        if number:
            return self._again(ip, tid, number, data, now)
        if version != VERSION or not port:
            return None
        middle = _LOOKUP.size + name_size
        end = middle + peer_size
        if len(data) < end:
            return None
        try:
            file, shown_file = self._files.get(data[_LOOKUP.size : middle]) or self._file(data[_LOOKUP.size : middle])
            if _PLAIN(data, middle, end):
                shown_peer = peer = data[middle:end].decode("ascii")
            else:
                peer = decode_peer_name(data[middle:end])
                shown_peer = format_field(peer)
        except InvalidNameError:
            return None
        told = f" peer={shown_peer} file={shown_file}"
        address = address_text(ip)
        swarm = self._names.get(file)
        key = address, data[_IDENTITY]
        if swarm is None or self._answered.find(key, now) is not None:
            return None
        asker = self._askers.get((address, peer_id))
        before = None if asker is None else asker.row
        if asker is not None and (asker.more or before is None or before.inherited):
            return None
        tail = swarm.told_to(ip << 16 | port, peer_id, first)
        if tail is None:
            return None
        if before is not None and before.file == file:
            self._requests.abandon(before)
            self._chronicle.outcome(before, RequestState.FAILED, now, reason="asked anew")
        try:
            row = self._requests.open(
                address, port, peer_id, peer, file, swarm.info_hash, len(swarm.complete), now, told
            )
        except RefusalError:
            return None
        self._chronicle.request(row, swarm.seeds.names(self._named_holders), now)
        answer = pack_lookup_reply_tail(tid, True, row.number, tail)
        self._answered.keep(key, (True, row.number, tail), len(answer), now)
        return answer

    def _file(self, raw: bytes) -> tuple[str, str]:
        """A file's name, and how the log says it. Raises NameRefused."""
        file = decode_file_name(raw)
        if len(self._files) >= _MAX_CACHED_FILES:
            self._files.clear()
        self._files[raw] = names = file, format_field(file)
        return names

    def _again(self, ip: int, tid: int, number: int, data: bytes, now: float) -> bytes | None:
        """The answer to a look-up under its request's number, where it is still what it was."""
        row = self._rows.get(number)
        again = None if row is None else row.again
        if (
            row is None
            or again is None
            or again.ip != ip
            or again.moment is not again.swarm.moment
            or not data.endswith(again.asked)
            or len(data) != len(again.asked) + _ASKED
        ):
            return None
        row.asker.seen = now
        row.note(tid)
        return pack_lookup_reply_tail(tid, True, number, again.tail)

    def outcome(self, fields: tuple[Any, ...], data: bytes, oldest: int, now: float) -> bytes | None:
        """The same for an outcome."""
        if len(data) < _OUTCOME.size:
            return None
        version, result, info_hash, peer_id, number, transferred, elapsed, count, more = _OUTCOME.unpack_from(data)
        ip, connection, _, tid = fields[:4]
        row = self._rows.get(number)
        if (
            row is None
            or row.peer_id != peer_id
            or row.ip != address_text(ip)
            or version != VERSION
            or result not in _REPORTED
            or ((self._proved.get(connection) != ip or connection < oldest) and not self._prove(connection, ip, now))
        ):
            return None
        sources: tuple[tuple[str, int], ...] = ()
        reason = ""
        if count or more:
            try:
                outcome = parse_outcome(data)
            except PacketError:
                return None
            sources = tuple([(source.name, source.pieces) for source in outcome.sources])
            reason = outcome.reason
        row.asker.seen = now
        self._requests.take(row)
        if row.info_hash is None and info_hash != _NO_HASH:
            row.info_hash = info_hash
        self._chronicle.outcome(
            row,
            RequestState.SUCCEEDED if result == _SUCCEEDED else RequestState.FAILED,
            now,
            sources=sources,
            transferred=transferred,
            elapsed_ms=elapsed,
            reason=reason,
        )
        return pack_outcome_reply(tid, number)
