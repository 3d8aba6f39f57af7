"""A table of peers in arrays, its column of strings and its hash index.

A peer in a swarm is a row, whose number is the peer's index in every column. Rows of peers that have left are reused.
One Python object per peer would need four times the memory, and slow down every pass of the garbage collector.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.wire.piece_set import PieceSet

PEER_ID_SIZE: Final = 20
COMPLETE: Final = 1
"""Bit of :attr:`PeerTable.flags`: the peer has every piece."""
EXTENDED: Final = 2
"""Bit of :attr:`PeerTable.flags`: the peer uses this project's protocol extension."""
PROVEN: Final = 4
"""Bit of :attr:`PeerTable.flags`: the peer is a standard client that somebody has downloaded pieces from."""
MAX_STRING_SIZE: Final = 255
"""Longest string of a :class:`StringArena`, in bytes of UTF-8."""
MAX_EQUAL_HASHES: Final = 8
"""Rows with the same hash that a :class:`HashIndex` keeps, so that many equal values cannot make it slow."""
_ALIGNMENT: Final = 4
_FIRST_INDEX_SIZE: Final = 4

S = TypeVar("S")


class PeerTable(Generic[S]):
    """A struct of arrays for all peers; ``S`` is the class of swarms.

    Times are seconds of the caller's clock. The columns of a freed row are undefined.
    """

    __slots__ = (
        "compact_slot",
        "endpoint_key",
        "flags",
        "free_rows",
        "joined",
        "last_seen",
        "left",
        "longest_gap",
        "names",
        "next_in_bucket",
        "options_hash",
        "peer_ids",
        "pieces",
        "swarm",
        "wheel_bucket",
    )

    def __init__(self) -> None:
        self.endpoint_key = array("Q")
        """Address and port (:func:`~torrentnet.wire.endpoint.endpoint_key`)."""
        self.peer_ids = bytearray()
        """20 bytes per row."""
        self.left = array("Q")
        """Bytes that the peer lacks, by its last announce."""
        self.joined = array("d")
        self.last_seen = array("d")
        self.longest_gap = array("d")
        """Longest time between two datagrams of the peer so far."""
        self.options_hash = array("q")
        """Hash of the announce options from which name and flags were parsed; keyed, so that nobody can forge it."""
        self.compact_slot = array("I")
        """Position in the compact list of the peer's swarm."""
        self.wheel_bucket = array("I")
        """Column of the :class:`~torrentnet.tracker.swarms.timer_wheel.TimerWheel`."""
        self.flags = bytearray()
        self.swarm: list[S | None] = []
        """None for a free row."""
        self.names = StringArena()
        """Names of the peers that announced one."""
        self.next_in_bucket = array("I")
        """Column of the :class:`HashIndex` of the peer's swarm."""
        self.pieces: dict[int, PieceSet] = {}
        """Pieces of the incomplete peers that reported them."""
        self.free_rows: list[int] = []

    def add(self, swarm: S, endpoint_key: int, peer_id: bytes, left: int, options: bytes, now: float) -> int:
        """Return the row of a new peer, whose flags are all zero."""
        if self.free_rows:
            row = self.free_rows.pop()
            self.endpoint_key[row] = endpoint_key
            self.peer_ids[row * PEER_ID_SIZE : (row + 1) * PEER_ID_SIZE] = peer_id
            self.left[row] = left
            self.joined[row] = self.last_seen[row] = now
            self.longest_gap[row] = 0.0
            self.options_hash[row] = hash(options)
            self.flags[row] = 0
            self.swarm[row] = swarm
            return row
        self.endpoint_key.append(endpoint_key)
        self.peer_ids += peer_id
        self.left.append(left)
        self.joined.append(now)
        self.last_seen.append(now)
        self.longest_gap.append(0.0)
        self.options_hash.append(hash(options))
        self.compact_slot.append(0)
        self.wheel_bucket.append(0)
        self.flags.append(0)
        self.swarm.append(swarm)
        return len(self.flags) - 1

    def free(self, row: int) -> None:
        """Make a row available for another peer."""
        self.swarm[row] = None
        del self.names[row]
        self.pieces.pop(row, None)
        self.free_rows.append(row)

    def peer_id(self, row: int) -> bytes:
        """Return the peer id of a row (20 bytes)."""
        return bytes(self.peer_ids[row * PEER_ID_SIZE : (row + 1) * PEER_ID_SIZE])

    def peer_id_hash(self, row: int) -> int:
        """Return Python's keyed hash of a row's peer id."""
        return hash(self.peer_id(row))


class StringArena:
    """A column of optional short strings in one buffer.

    The buffer saves 50 bytes per string. The space of a deleted string is reused.
    """

    __slots__ = ("_at", "_buffer", "_free")

    def __init__(self) -> None:
        self._at = array("I")
        # No string starts at position 0, because position 0 means that a row has no string.
        self._buffer = bytearray(_ALIGNMENT)
        self._free: dict[int, array[int]] = {}

    def __getitem__(self, row: int) -> str | None:
        """Return the string of a row, or None."""
        at = self._at[row] * _ALIGNMENT if row < len(self._at) else 0
        return self._buffer[at + 1 : at + 1 + self._buffer[at]].decode("utf-8") if at else None

    def __setitem__(self, row: int, text: str) -> None:
        """Store the string of a row that has none yet. Raises ValueError if too long."""
        raw = text.encode("utf-8")
        size = len(raw)
        if size > MAX_STRING_SIZE:
            raise ValueError(f"a string of {size} bytes, at most {MAX_STRING_SIZE} fit")
        units = size // _ALIGNMENT + 1
        free = self._free.get(units)
        if free:
            position = free.pop()
        else:
            position = len(self._buffer) // _ALIGNMENT
            self._buffer += bytes(units * _ALIGNMENT)
        start = position * _ALIGNMENT
        self._buffer[start : start + 1 + size] = bytes((size,)) + raw
        if row >= len(self._at):
            self._at.extend([0] * (row + 1 - len(self._at)))
        self._at[row] = position

    def __delitem__(self, row: int) -> None:
        """Delete the string of a row, if it has one."""
        if row >= len(self._at) or not self._at[row]:
            return
        position = self._at[row]
        self._at[row] = 0
        units = self._buffer[position * _ALIGNMENT] // _ALIGNMENT + 1
        self._free.setdefault(units, array("I")).append(position)


class HashIndex:
    """Rows by the hash of a value, in 8 bytes per row (a dictionary needs a hundred).

    ``hash_of(row)`` returns the hash of the row's value. ``next_in_bucket`` is a column of the caller through which the
    rows of a bucket are chained. Several indexes may share the column if each row is in at most one of them. There are
    at least as many buckets as rows. Buckets are split one at a time (linear hashing: W. Litwin, VLDB 1980), so that
    insertion into a large index takes no longer.
    """

    __slots__ = ("_count", "_first", "_hash_of", "_next", "_size", "_split")

    def __init__(self, next_in_bucket: array[int], hash_of: Callable[[int], int]) -> None:
        self._next = next_in_bucket
        self._hash_of = hash_of
        # Row numbers plus one; 0 ends a chain.
        self._first = array("I", [0] * _FIRST_INDEX_SIZE)
        self._size = _FIRST_INDEX_SIZE
        self._split = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def candidates(self, value_hash: int) -> Sequence[int]:
        """Return the rows that may have a value with this hash; the caller compares.

        Of the rows with equal hashes, only the first MAX_EQUAL_HASHES are found.
        """
        size = self._size
        bucket = value_hash & (size - 1)
        link = self._first[value_hash & (2 * size - 1) if bucket < self._split else bucket]
        if not link:
            return ()
        row = link - 1
        link = self._next[row]
        if not link:
            return (row,)
        found = [row]
        while link:
            row = link - 1
            found.append(row)
            link = self._next[row]
        return found

    def add(self, row: int) -> None:
        """Insert a row that is in no index with the same column."""
        links = self._next
        if row >= len(links):
            links.extend([0] * (row + 1 - len(links)))
        value_hash = self._hash_of(row)
        if sum(self._hash_of(other) == value_hash for other in self.candidates(value_hash)) >= MAX_EQUAL_HASHES:
            return
        self._insert(row, self._bucket(value_hash))
        self._count += 1
        if self._count > len(self._first):
            self._grow()

    def remove(self, row: int) -> None:
        """Remove a row if it is in the index. Its value must not have changed."""
        links = self._next
        bucket = self._bucket(self._hash_of(row))
        link = self._first[bucket]
        previous = 0
        while link and link != row + 1:
            previous, link = link, links[link - 1]
        if not link:
            return
        if previous:
            links[previous - 1] = links[row]
        else:
            self._first[bucket] = links[row]
        self._count -= 1

    def _bucket(self, value_hash: int) -> int:
        bucket = value_hash & (self._size - 1)
        return value_hash & (2 * self._size - 1) if bucket < self._split else bucket

    def _insert(self, row: int, bucket: int) -> None:
        self._next[row] = self._first[bucket]
        self._first[bucket] = row + 1

    def _grow(self) -> None:
        """Split the next bucket into two."""
        link = self._first[self._split]
        self._first[self._split] = 0
        self._first.append(0)
        self._split += 1
        while link:
            row, link = link - 1, self._next[link - 1]
            self._insert(row, self._bucket(self._hash_of(row)))
        if self._split == self._size:
            self._size *= 2
            self._split = 0
