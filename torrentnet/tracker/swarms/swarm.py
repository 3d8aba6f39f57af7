"""A swarm: its peers, its file, and cached parts of answers.

Tested by tests/unit/tracker/handlers/test_announce.py, tests/unit/tracker/handlers/test_lookup.py.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.swarms.peer_table import COMPLETE, EXTENDED, PEER_ID_SIZE, PROVEN, HashIndex, PeerTable
from torrentnet.tracker.swarms.seed_rows import SeedRows
from torrentnet.wire.endpoint import COMPACT_SIZE, Endpoint, endpoint_from_key, pack_endpoint_key
from torrentnet.wire.info import piece_count
from torrentnet.wire.peer.client_names import client_name
from torrentnet.wire.udp.lookup import HolderPage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from random import Random

    from torrentnet.wire.piece_set import PieceSet

_MAX_PAGES: Final = 16
"""Cached pages of seeds per swarm, 1.4 kB each."""
_MAX_NAMES_CHARS: Final = 2_000
"""Characters of the names in one row of the request log."""


@dataclass(slots=True, eq=False)
class SwarmMember:
    """A copy of the state of one peer in one swarm."""

    row: int
    swarm: Swarm
    endpoint: Endpoint
    """Where the peer listens."""
    peer_id: bytes
    name: str
    """The announced name, or one derived from peer id and endpoint."""
    extended: bool
    """Whether the peer uses this project's extension, and therefore expires after the tracker's time-out."""
    proven: bool
    """Whether the peer is a standard client that somebody has downloaded pieces from."""
    complete: bool
    left: int
    """Bytes that the peer lacks, by its last announce."""
    joined: float
    last_seen: float
    options_hash: int
    pieces: PieceSet | None
    """Reported pieces; None for complete peers and standard clients."""

    def describe_pieces(self) -> str:
        """Describe the pieces held: ``all 32``, ``0-4, 9 (6 of 32)``, ``62 %``.

        A standard client may say that it lacks nothing before it knows the file's size (a magnet link's download).
        """
        swarm = self.swarm
        if self.complete:
            says = "" if self.extended or self.proven else "says it has "
            return f"{says}all" if swarm.pieces is None else f"{says}all {swarm.pieces}"
        if self.pieces is not None:
            return self.pieces.describe()
        of = "" if swarm.pieces is None else f" of {swarm.pieces}"
        percent = self.percent()
        return "some of it" if percent is None else f"{percent} %{of}"

    def percent(self) -> int | None:
        """Return how many per cent are complete, by ``left``; None if not known."""
        size = self.swarm.size
        if not size or self.left > size:
            return None
        return 100 * (size - self.left) // size


@dataclass(slots=True, eq=False)
class Swarm:
    """The peers of one info-hash: rows of ``table``, in order of joining."""

    table: PeerTable[Swarm]
    info_hash: bytes
    opened_by: str
    """Address whose announce created the swarm."""
    name: str | None = None
    size: int | None = None
    piece_length: int | None = None
    pieces: int | None = None
    downloads: int = 0
    """Number of ``completed`` events (BEP 48)."""
    members: dict[int, int] = field(default_factory=dict)
    """Row by endpoint key."""
    complete: SeedRows = field(default_factory=SeedRows)
    """Rows of the complete peers, in the order in which look-ups list them."""
    seeders: int = 0
    """Number of complete peers."""
    version: object = field(default_factory=object)
    """Replaced whenever a look-up's answer may change."""
    lookup_tails: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Packed look-up answers of the current version, by first holder and number of incomplete peers."""
    compact: bytearray = field(default_factory=bytearray)
    """Endpoints of all members in compact form (BEP 23), unordered; ``_slots`` are their rows."""
    _slots: array[int] = field(default_factory=lambda: array("I"))
    _by_peer_id: HashIndex = field(init=False)
    """Complete members with the extension: no other seeds send look-ups."""
    seeds: SeedList = field(init=False)
    """All complete members."""

    def __post_init__(self) -> None:
        self.seeds = SeedList(self)
        self._by_peer_id = HashIndex(self.table.next_in_bucket, self.table.peer_id_hash)

    @property
    def label(self) -> str:
        """Name of the file, or the info-hash in hex while the name is unknown."""
        return self.name if self.name is not None else self.info_hash.hex()

    @property
    def leechers(self) -> int:
        """Number of incomplete peers."""
        return len(self.members) - self.seeders

    def member(self, row: int) -> SwarmMember:
        """Return a copy of the state of a member."""
        table = self.table
        flags = table.flags[row]
        return SwarmMember(
            row=row,
            swarm=self,
            endpoint=endpoint_from_key(table.endpoint_key[row]),
            peer_id=table.peer_id(row),
            name=self.name_of(row),
            extended=bool(flags & EXTENDED),
            proven=bool(flags & PROVEN),
            complete=bool(flags & COMPLETE),
            left=table.left[row],
            joined=table.joined[row],
            last_seen=table.last_seen[row],
            options_hash=table.options_hash[row],
            pieces=table.pieces.get(row),
        )

    def name_of(self, row: int) -> str:
        """Return a member's announced name, or one derived from its peer id and endpoint."""
        table = self.table
        return table.names[row] or f"{client_name(table.peer_id(row))}@{endpoint_from_key(table.endpoint_key[row])}"

    def set_measures(self, size: int | None, piece_length: int | None) -> bool:
        """Store size and piece length where unknown; return whether one was new.

        Both come from one announce, which was checked as a whole: the size of one peer and the piece length of another
        may make any number of pieces. A piece length therefore counts only together with the known size.
        """
        if size is None or self.piece_length or (self.size is not None and (size != self.size or not piece_length)):
            return False
        self.size, self.piece_length = size, piece_length
        if piece_length:
            self.pieces = piece_count(size, piece_length)
        self._bump_version()
        return True

    def add(self, row: int) -> None:
        """Add a row as an incomplete member."""
        table = self.table
        key = table.endpoint_key[row]
        self.members[key] = row
        self._bump_version()
        table.compact_slot[row] = len(self._slots)
        self._slots.append(row)
        self.compact += pack_endpoint_key(key)

    def remove(self, row: int) -> None:
        """Remove a member."""
        table = self.table
        self.set_complete(row, complete=False)
        del self.members[table.endpoint_key[row]]
        self._bump_version()
        last = self._slots.pop()
        entry = self.compact[-COMPACT_SIZE:]
        del self.compact[-COMPACT_SIZE:]
        if last != row:
            # The last entry is moved into the gap, so that the list stays contiguous.
            slot = table.compact_slot[row]
            self._slots[slot] = last
            self.compact[slot * COMPACT_SIZE : (slot + 1) * COMPACT_SIZE] = entry
            table.compact_slot[last] = slot

    def set_complete(self, row: int, *, complete: bool) -> None:
        """Store whether a member has the whole file."""
        table = self.table
        flags = table.flags[row]
        if complete == bool(flags & COMPLETE):
            return
        table.flags[row] = flags ^ COMPLETE
        ip = table.endpoint_key[row] >> 16
        if complete:
            self.complete.add(row, ip)
        else:
            self.complete.remove(row, ip)
        self.seeders = len(self.complete)
        self.seeds.invalidate()
        self._bump_version()
        if flags & EXTENDED:
            (self._by_peer_id.add if complete else self._by_peer_id.remove)(row)

    def set_extended(self, row: int) -> None:
        """Store that a member uses the extension."""
        table = self.table
        flags = table.flags[row]
        if not flags & EXTENDED:
            table.flags[row] = flags | EXTENDED
            self._bump_version()
            if flags & COMPLETE:
                self._by_peer_id.add(row)

    def sample(self, requester: int, count: int, random: Random) -> bytearray:
        """Return up to ``count`` members besides ``requester``, compact (BEP 23).

        The sample is a run of the contiguous list from a random position: each member is equally likely, at the cost of
        one copy.
        """
        compact = self.compact
        total = len(self.members)
        if count <= 0:
            return bytearray()
        if total - 1 <= count:
            own = self.table.compact_slot[requester] * COMPACT_SIZE
            return compact[:own] + compact[own + COMPACT_SIZE :]
        first = int(random.random() * total)
        position = self.table.compact_slot[requester] - first
        if position < 0:
            position += total
        if position >= count:
            end = first + count
            run = compact[first * COMPACT_SIZE : end * COMPACT_SIZE]
            if end > total:
                run += compact[: (end - total) * COMPACT_SIZE]
            return run
        # The run contains the requester: extend it by one member and delete the requester.
        end = first + count + 1
        run = compact[first * COMPACT_SIZE : end * COMPACT_SIZE]
        if end > total:
            run += compact[: (end - total) * COMPACT_SIZE]
        del run[position * COMPACT_SIZE : (position + 1) * COMPACT_SIZE]
        return run

    def seeds_for(self, endpoint_key: int, peer_id: bytes) -> SeedList:
        """Return the complete members without those at this endpoint or with this peer id."""
        starts = self.table.peer_ids.startswith
        own = [row for row in self._by_peer_id.candidates(hash(peer_id)) if starts(peer_id, row * PEER_ID_SIZE)]
        at_endpoint = self.members.get(endpoint_key)
        if at_endpoint is not None and self.table.flags[at_endpoint] & COMPLETE and at_endpoint not in own:
            own.append(at_endpoint)
        return SeedList(self, own) if own else self.seeds

    def shared_tail(self, endpoint_key: int, peer_id: bytes, first: int) -> bytes | None:
        """Return the cached answer to a look-up, or None if none fits the requester.

        ``first`` is the number of the first holder in the answer.
        """
        members = self.members
        incomplete = len(members) - self.seeders
        own = members.get(endpoint_key)
        if own is not None:
            if self.table.flags[own] & COMPLETE:
                return None
            incomplete -= 1
        for row in self._by_peer_id.candidates(hash(peer_id)):
            if self.table.peer_ids.startswith(peer_id, row * PEER_ID_SIZE):
                return None
        return self.lookup_tails.get((first, incomplete))

    def _bump_version(self) -> None:
        self.version = object()
        if self.lookup_tails:
            self.lookup_tails = {}


class SeedList:
    """The complete members of a swarm, in order, without ``excluded`` rows.

    Names and pages are cached until :meth:`invalidate`, because nearly all requesters get the same names and pages.
    """

    __slots__ = ("_excluded", "_names", "_pages", "_swarm")

    def __init__(self, swarm: Swarm, excluded: Collection[int] = ()) -> None:
        self._swarm = swarm
        self._excluded = excluded
        self._names: tuple[str, ...] | None = None
        self._pages: dict[int, HolderPage] = {}

    def __len__(self) -> int:
        return len(self._swarm.complete) - len(self._excluded)

    @property
    def has_all(self) -> bool:
        """Whether no complete member is excluded."""
        return not self._excluded

    def invalidate(self) -> None:
        """Clear the cache: the set of complete peers has changed."""
        self._names = None
        self._pages.clear()

    def names(self, limit: int) -> tuple[str, ...]:
        """Return the names of the first members; all calls pass the same limit.

        They are at most ``limit``, and fewer if the names are long.
        """
        if self._names is None:
            names: list[str] = []
            room = _MAX_NAMES_CHARS
            for name in map(self._swarm.name_of, islice(self._rows(), limit)):
                room -= len(name)
                if room < 0:
                    break
                names.append(name)
            self._names = tuple(names)
        return self._names

    def page(self, first: int) -> HolderPage:
        """Return as many members, from number ``first`` on, as fit into one answer."""
        page = self._pages.get(first)
        if page is None:
            page = HolderPage()
            keys, name_of = self._swarm.table.endpoint_key, self._swarm.name_of
            for row in islice(self._rows(), first, None):
                if not page.add(pack_endpoint_key(keys[row]), name_of(row)):
                    break
            if len(self._pages) >= _MAX_PAGES:
                self._pages.clear()
            self._pages[first] = page
        return page

    def _rows(self) -> Iterator[int]:
        complete, excluded = self._swarm.complete, self._excluded
        return (row for row in complete if row not in excluded) if excluded else iter(complete)
