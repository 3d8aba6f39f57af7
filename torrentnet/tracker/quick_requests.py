"""The short way for look-ups and outcomes: those of a peer that asks for one file, which has seeds, and then gets it.

As :mod:`~torrentnet.tracker.quick` does for announces, it answers what the core would answer, and leaves what the core
would leave, or says that the datagram is not for it and has changed nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from torrentnet.tracker.chronicle import who
from torrentnet.tracker.records import Result
from torrentnet.tracker.refusals import Refused
from torrentnet.wire.errors import NameRefused, PacketError
from torrentnet.wire.extension import VERSION
from torrentnet.wire.lookup import pack_found_tail
from torrentnet.wire.names import decode_file_name, decode_peer_name
from torrentnet.wire.outcome import Result as Reported
from torrentnet.wire.outcome import pack_noted, parse_outcome
from torrentnet.wire.udp import address_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.tracker.chronicle import Chronicle
    from torrentnet.tracker.lookups import LookupDesk
    from torrentnet.tracker.registry import Registry
    from torrentnet.tracker.requests import Requests

_LOOKUP: Final = struct.Struct(">16xBxHI20sHBB")
_OUTCOME: Final = struct.Struct(">16xBB2x20s20sIQIBB2x")
_ASKED: Final = 16
"""Where a look-up goes on behind its transaction id."""
_IDENTITY: Final = slice(8, None)
"""What two datagrams have in common that are the same request: all but the connection id."""
_NAMES: Final = slice(46, None)
"""Where the sizes of its names stand, and then these."""
_MOST_KNOWN, _KNOWN_BYTES = 16_384, 128
"""Names that are remembered, and their bytes at most: 10 MB."""
_NO_HASH: Final = bytes(20)
_SUCCEEDED: Final = int(Reported.SUCCEEDED)
_REPORTED: Final = frozenset(map(int, Reported))


class QuickRequests:
    """``proved`` are connection ids that were good a moment ago, with their addresses; ``prove`` looks at another one.

    The other parts are the core's.
    """

    def __init__(
        self,
        proved: dict[int, int],
        prove: Callable[[int, int, float], bool],
        registry: Registry,
        requests: Requests,
        chronicle: Chronicle,
        desk: LookupDesk,
        behind: Callable[[], bool],
    ) -> None:
        self._proved = proved
        self._prove = prove
        self._requests = requests
        self._chronicle = chronicle
        self._answered = desk.answered
        self._behind = behind
        self._named_holders = registry.limits.named_holders
        # By the bytes of both names, and before them the size of each.
        self._known: dict[bytes, tuple[str, str, str]] = {}
        # Registry and requests keep these as long as they live.
        self._names = registry.by_name
        self._rows = requests.open_rows
        self._askers = requests.askers

    def lookup(self, fields: tuple[Any, ...], data: bytes, oldest: int, now: float) -> bytes | None:
        """The answer to a look-up, or None when the core is to answer it.

        ``fields`` are those of :meth:`~torrentnet.tracker.quick.Quick.answer`, of which the first four count.
        """
        if len(data) < _LOOKUP.size:
            return None
        version, first, number, peer_id, port, name_size, peer_size = _LOOKUP.unpack_from(data)
        ip, connection, _, tid = fields[:4]
        if (self._proved.get(connection) != ip or connection < oldest) and not self._prove(connection, ip, now):
            return None
        if number:
            return self._again(ip, tid, number, data, now)
        if version != VERSION or not port or self._behind():
            return None
        names = self._known.get(data[_NAMES]) or self._read_names(data, name_size, peer_size)
        if names is None:
            return None
        file, peer, told = names
        address = address_text(ip)
        swarm = self._names.get(file)
        key = address, data[_IDENTITY]
        if swarm is None or (address, peer_id) in self._askers or self._answered.find(key, now) is not None:
            return None
        tail = swarm.told_to(ip << 16 | port, peer_id, first)
        if tail is None:
            return None
        try:
            row = self._requests.open(
                address, port, peer_id, peer, file, swarm.info_hash, len(swarm.complete), now, told
            )
        except Refused:
            return None
        self._chronicle.request(row, swarm.seeds.names(self._named_holders), now)
        answer = pack_found_tail(tid, True, row.number, tail)
        self._answered.keep(key, (True, row.number, tail), len(answer), now)
        return answer

    def _read_names(self, data: bytes, name_size: int, peer_size: int) -> tuple[str, str, str] | None:
        """File and peer of a look-up, and how the log says them; None where they are no good."""
        middle = _LOOKUP.size + name_size
        end = middle + peer_size
        if len(data) < end:
            return None
        try:
            file, peer = decode_file_name(data[_LOOKUP.size : middle]), decode_peer_name(data[middle:end])
        except NameRefused:
            return None
        names = file, peer, who(peer, file)
        if len(data) <= _LOOKUP.size + _KNOWN_BYTES:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[data[_NAMES]] = names
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
        return pack_found_tail(tid, True, number, again.tail)

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
            Result.SUCCEEDED if result == _SUCCEEDED else Result.FAILED,
            now,
            sources=sources,
            transferred=transferred,
            elapsed_ms=elapsed,
            reason=reason,
        )
        return pack_noted(tid, number)
