"""The short way for the datagrams that nearly all are: what a peer says or asks again while nothing has changed.

These are its periodic announces, and look-ups under its request's number. It answers what
:class:`~torrentnet.tracker.core.Core` would answer, byte for byte, or says that the datagram is not for it and has
changed nothing; a test holds the two against each other. It takes fields that are unpacked already and writes to the
columns of :class:`~torrentnet.tracker.roll.Roll` without an object in between.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from torrentnet.tracker.limits import DEFAULT_WANT, MAX_GAP_S
from torrentnet.tracker.roll import PEER_ID
from torrentnet.wire.connection_id import MOST_PROVED
from torrentnet.wire.lookup import pack_found_tail
from torrentnet.wire.udp import ANNOUNCE_SIZE, MAX_PEERS, Action, address_text

if TYPE_CHECKING:
    from random import Random

    from torrentnet.tracker.registry import Registry
    from torrentnet.tracker.requests import Requests
    from torrentnet.tracker.settings import Settings
    from torrentnet.wire.connection_id import ConnectionIds

_ANNOUNCE: Final = int(Action.ANNOUNCE)
_LOOKUP: Final = int(Action.LOOKUP)
_HEAD: Final = struct.Struct(">IIIII")
_NUMBER: Final = slice(4, 8)
"""Where a look-up has its request's number in the bytes that are the info-hash of an announce."""
_ASKED: Final = 16
"""Where a look-up goes on behind its transaction id."""


class Quick:
    """Answers periodic announces, and look-ups that come again. The parts are the core's, which sees to all else."""

    def __init__(
        self, settings: Settings, ids: ConnectionIds, registry: Registry, requests: Requests, random: Random
    ) -> None:
        self._ids = ids
        self._registry = registry
        self._requests = requests
        self._random = random
        self._interval = settings.interval
        self._proved: dict[int, int] = {}
        # The registry keeps these as long as it lives.
        self._swarms = registry.by_hash
        self._rows = requests.open_rows
        roll = registry.roll
        self._peer_ids = roll.peer_ids
        self._left = roll.left
        self._options = roll.options
        self._seen = roll.seen
        self._gap = roll.gap

    def answer(
        self, fields: tuple[Any, ...], size: int, options: bytes, oldest: int, now: float
    ) -> bytes | bytearray | None:
        """The answer to an announce of ``size`` bytes, or None when the core is to answer it.

        ``fields``: the sender's address as a number and :data:`~torrentnet.wire.udp.ANNOUNCE_FIELDS`, of which only
        those that ``size`` covers are looked at. ``options``: what stands behind them. ``oldest``: the least connection
        id that is young enough (:meth:`ConnectionIds.oldest`).
        """
        if size < ANNOUNCE_SIZE:
            return None
        ip, connection, _, tid, info_hash, peer_id, left, event, ip_field, want, port = fields
        if event or ip_field:
            return None
        if (self._proved.get(connection) != ip or connection < oldest) and not self._prove(connection, ip, now):
            return None
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return None
        row = swarm.members.get(ip << 16 | port)
        if (
            row is None
            or self._left[row] != left
            or not self._peer_ids.startswith(peer_id, row * PEER_ID)
            or self._options[row] != hash(options)
        ):
            return None
        # From here on it is the core's own way, registry.heard() and swarm.sample(), without the calls.
        gap = now - self._seen[row]
        if gap > self._gap[row]:
            self._gap[row] = min(gap, MAX_GAP_S)
        self._seen[row] = now
        if self._requests:
            self._requests.heard(address_text(ip), peer_id, now)
        if want > MAX_PEERS:
            want = MAX_PEERS
        elif want < 0:
            want = DEFAULT_WANT
        seeders = len(swarm.complete)
        return _HEAD.pack(_ANNOUNCE, tid, self._interval, len(swarm.members) - seeders, seeders) + swarm.sample(
            row, want, self._random
        )

    def answer_again(self, fields: tuple[Any, ...], data: bytes, oldest: int, now: float) -> bytes | None:
        """The same for a datagram that is no announce; ``fields`` are its bytes, and rubbish behind them."""
        ip, connection, action, tid, middle = fields[:5]
        if action != _LOOKUP:
            return None
        row = self._rows.get(int.from_bytes(middle[_NUMBER], "big"))
        if row is None:
            return None
        again = row.again
        if (
            again is None
            or again.ip != ip
            or again.moment is not again.swarm.moment
            or not data.endswith(again.asked)
            or len(data) != len(again.asked) + _ASKED
        ):
            return None
        if (self._proved.get(connection) != ip or connection < oldest) and not self._prove(connection, ip, now):
            return None
        row.asker.seen = now
        row.note(tid)
        return pack_found_tail(tid, True, row.number, again.tail)

    def _prove(self, connection: int, ip: int, now: float) -> bool:
        if not self._ids.accepts(connection, address_text(ip), now):
            return False
        if len(self._proved) >= MOST_PROVED:
            self._proved.clear()
        self._proved[connection] = ip
        return True
