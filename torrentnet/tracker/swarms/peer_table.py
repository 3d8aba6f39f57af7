"""Who is there, in columns: a million peers as numbers in arrays, not as a million objects.

A peer in a swarm is a row. Its number indexes every column; rows of peers that are gone are used again. An object for
each would cost four times the memory, and a pause whenever Python looks through them all for rubbish.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from torrentnet.tracker.swarms.string_arena import StringArena

if TYPE_CHECKING:
    from torrentnet.tracker.swarms.swarm import Swarm
    from torrentnet.wire.piece_set import PieceSet

PEER_ID_SIZE = 20
COMPLETE, EXTENDED = 1, 2
"""Bits of :attr:`Roll.flags`."""


class PeerTable:
    """The columns. Times are seconds of the caller's clock; a row says nothing once it was freed."""

    __slots__ = (
        "after",
        "flags",
        "free",
        "gap",
        "left",
        "names",
        "options",
        "peer_ids",
        "pieces",
        "place",
        "seen",
        "since",
        "slot",
        "swarm",
        "watch",
    )

    def __init__(self) -> None:
        self.place = array("Q")
        """Address and port (:func:`~torrentnet.wire.udp.packets.endpoint_key`)."""
        self.peer_ids = bytearray()
        """20 bytes a row."""
        self.left = array("Q")
        """Bytes that it lacks, as it announced last."""
        self.since = array("d")
        self.seen = array("d")
        self.gap = array("d")
        """Longest time between two signs of life so far."""
        self.options = array("q")
        """Hash of the announce options that name and flags were read from (Python's, keyed: nobody can aim at it)."""
        self.slot = array("I")
        """Its place in the swarm's compact list."""
        self.watch = array("I")
        """The bucket of :class:`~torrentnet.tracker.swarms.timer_wheel.TimerWheel` that will look at it next."""
        self.flags = bytearray()
        self.swarm: list[Swarm | None] = []
        self.names = StringArena()
        """Of those that have told theirs."""
        self.after = array("I")
        """For the :class:`~torrentnet.tracker.swarms.hash_index.HashIndex` of its swarm."""
        self.pieces: dict[int, PieceSet] = {}
        """Of those that have reported theirs and are not complete."""
        self.free: list[int] = []

    def add(self, swarm: Swarm, place: int, peer_id: bytes, left: int, options: bytes, now: float) -> int:
        """A row for a peer, incomplete and without the extension until its flags say otherwise."""
        if self.free:
            row = self.free.pop()
            self.place[row] = place
            self.peer_ids[row * PEER_ID_SIZE : (row + 1) * PEER_ID_SIZE] = peer_id
            self.left[row] = left
            self.since[row] = self.seen[row] = now
            self.gap[row] = 0.0
            self.options[row] = hash(options)
            self.flags[row] = 0
            self.swarm[row] = swarm
            return row
        self.place.append(place)
        self.peer_ids += peer_id
        self.left.append(left)
        self.since.append(now)
        self.seen.append(now)
        self.gap.append(0.0)
        self.options.append(hash(options))
        self.slot.append(0)
        self.watch.append(0)
        self.flags.append(0)
        self.swarm.append(swarm)
        return len(self.flags) - 1

    def drop(self, row: int) -> None:
        """Free a row."""
        self.swarm[row] = None
        del self.names[row]
        self.pieces.pop(row, None)
        self.free.append(row)

    def peer_id(self, row: int) -> bytes:
        """Its peer id (20 bytes)."""
        return bytes(self.peer_ids[row * PEER_ID_SIZE : (row + 1) * PEER_ID_SIZE])

    def id_hash(self, row: int) -> int:
        """The hash of its peer id (Python's, keyed: nobody can aim at it)."""
        return hash(self.peer_id(row))
