"""The short way for the datagrams that nearly all are: periodic announces of peers that have nothing new to say.

It answers what :class:`~torrentnet.tracker.core.Core` would answer, byte for byte, or says that the datagram is not for
it and has changed nothing; a test holds the two against each other. It takes fields that are unpacked already and
writes to the columns of :class:`~torrentnet.tracker.swarms.peer_table.PeerTable` without an object in between.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from torrentnet.tracker.limits import DEFAULT_WANT, MAX_GAP
from torrentnet.tracker.swarms.peer_table import PEER_ID_SIZE
from torrentnet.wire.endpoint import address_text
from torrentnet.wire.udp.connection_id import MAX_VERIFIED
from torrentnet.wire.udp.packets import ANNOUNCE_SIZE, MAX_PEERS, Action

if TYPE_CHECKING:
    from random import Random

    from torrentnet.tracker.settings import TrackerSettings
    from torrentnet.tracker.swarms.open_requests import OpenRequests
    from torrentnet.tracker.swarms.registry import SwarmRegistry
    from torrentnet.wire.udp.connection_id import ConnectionIds

_ANNOUNCE: Final = int(Action.ANNOUNCE)
_HEAD: Final = struct.Struct(">IIIII")


class FastAnnounce:
    """Answers periodic announces. The parts are the core's, which sees to all else."""

    def __init__(
        self,
        settings: TrackerSettings,
        ids: ConnectionIds,
        registry: SwarmRegistry,
        requests: OpenRequests,
        random: Random,
    ) -> None:
        self._ids = ids
        self._registry = registry
        self._requests = requests
        self._random = random
        self._interval = settings.interval
        self.proved: dict[int, int] = {}
        """Connection ids that were good a moment ago, each with its address; it is the same dictionary for ever."""
        # The registry keeps these as long as it lives.
        self._swarms = registry.by_hash
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

        ``fields``: the sender's address as a number and :data:`~torrentnet.wire.udp.packets.ANNOUNCE_FIELDS`, of
        which only
        those that ``size`` covers are looked at. ``options``: what stands behind them. ``oldest``: the least connection
        id that is young enough (:meth:`ConnectionIds.oldest`).
        """
        if size < ANNOUNCE_SIZE:
            return None
        ip, connection, _, tid, info_hash, peer_id, left, event, ip_field, want, port = fields
        if event or ip_field:
            return None
        if (self.proved.get(connection) != ip or connection < oldest) and not self.prove(connection, ip, now):
            return None
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return None
        row = swarm.members.get(ip << 16 | port)
        if (
            row is None
            or self._left[row] != left
            or not self._peer_ids.startswith(peer_id, row * PEER_ID_SIZE)
            or self._options[row] != hash(options)
        ):
            return None
        # From here on it is the core's own way, registry.heard() and swarm.sample(), without the calls.
        gap = now - self._seen[row]
        if gap > self._gap[row]:
            self._gap[row] = min(gap, MAX_GAP)
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

    def prove(self, connection: int, ip: int, now: float) -> bool:
        """Whether a connection id is good that is not among those, or may be too old."""
        if not self._ids.accepts(connection, address_text(ip), now):
            return False
        if len(self.proved) >= MAX_VERIFIED:
            self.proved.clear()
        self.proved[connection] = ip
        return True
