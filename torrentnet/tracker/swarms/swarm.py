"""One swarm, the peers in it, and what is told of one of them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from torrentnet.tracker.swarms.hash_index import HashIndex
from torrentnet.tracker.swarms.peer_table import COMPLETE, EXTENDED, PEER_ID_SIZE, PeerTable
from torrentnet.wire.endpoint import Endpoint, endpoint_from_key, pack_endpoint_key
from torrentnet.wire.info import piece_count
from torrentnet.wire.peer.handshake import client_name
from torrentnet.wire.udp.lookup import HolderPage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from random import Random

    from torrentnet.wire.piece_set import PieceSet

_COMPACT_SIZE = 6
_MAX_PAGES = 16
"""Pages of seeds that a swarm remembers, 1.4 kB each."""


@dataclass(slots=True, eq=False)
class SwarmMember:
    """One peer in one swarm, as it stood when it was asked for: what is changed here does not change the peer."""

    row: int
    swarm: Swarm
    endpoint: Endpoint
    """Where it listens."""
    peer_id: bytes
    name: str
    """The peer's own name, or one made from its peer id and address."""
    extended: bool
    """Whether it keeps this project's extension, and with it the tracker's time-out exactly."""
    complete: bool
    left: int
    """Bytes that it lacks, as it announced last."""
    since: float
    seen: float
    options: int
    """Hash of its announce options."""
    pieces: PieceSet | None
    """What it holds, where it has reported that; None for complete peers and standard clients."""

    @property
    def ip(self) -> str:
        """Its address."""
        return self.endpoint.ip

    @property
    def port(self) -> int:
        """Its TCP port."""
        return self.endpoint.port

    def holds(self) -> str:
        """What it holds, as a person reads it: ``all 32``, ``0-4, 9 (6 of 32)``, ``62 %``, ``some of it``."""
        swarm = self.swarm
        if self.complete:
            return "all" if swarm.pieces is None else f"all {swarm.pieces}"
        if self.pieces is not None:
            return self.pieces.describe()
        of = "" if swarm.pieces is None else f" of {swarm.pieces}"
        percent = self.percent()
        return "some of it" if percent is None else f"{percent} %{of}"

    def percent(self) -> int | None:
        """Whole per cent that it has by what it says is left; None where the size is not known."""
        size = self.swarm.size
        if not size or self.left > size:
            return None
        return 100 * (size - self.left) // size


@dataclass(slots=True, eq=False)
class Swarm:
    """The peers of one info-hash, in the order of their coming; they are rows of ``roll``."""

    roll: PeerTable
    info_hash: bytes
    opened_by: str
    """Address whose announce made it."""
    name: str | None = None
    size: int | None = None
    piece_length: int | None = None
    pieces: int | None = None
    downloads: int = 0
    """``completed`` events (BEP 48)."""
    members: dict[int, int] = field(default_factory=dict)
    """The row of each address and port."""
    complete: dict[int, None] = field(default_factory=dict)
    """Rows that have the whole file, in the order in which they had it; a later one never moves an earlier one."""
    moment: object = field(default_factory=object)
    """Another one whenever what a look-up is told may have become another: as long as it is the same, so is that."""
    told: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Answers of look-ups that are true at this moment, by their page and the number of incomplete peers in them."""
    compact: bytearray = field(default_factory=bytearray)
    """All members in compact form (BEP 23), in no order."""
    _slots: array[int] = field(default_factory=lambda: array("I"))
    _askers: HashIndex = field(init=False)
    """Complete members with the extension by their peer id: only such peers look anything up."""
    seeds: SeedList = field(init=False)
    """All complete members."""

    def __post_init__(self) -> None:
        self.seeds = SeedList(self)
        self._askers = HashIndex(self.roll.after, self.roll.id_hash)

    @property
    def label(self) -> str:
        """Its name, or the info-hash in hex while it has none."""
        return self.name if self.name is not None else self.info_hash.hex()

    @property
    def seeders(self) -> int:
        """How many have the whole file."""
        return len(self.complete)

    @property
    def leechers(self) -> int:
        """How many lack something."""
        return len(self.members) - len(self.complete)

    def holder(self, row: int) -> SwarmMember:
        """What is known of a member."""
        roll = self.roll
        flags = roll.flags[row]
        return SwarmMember(
            row=row,
            swarm=self,
            endpoint=endpoint_from_key(roll.place[row]),
            peer_id=roll.peer_id(row),
            name=self.name_of(row),
            extended=bool(flags & EXTENDED),
            complete=bool(flags & COMPLETE),
            left=roll.left[row],
            since=roll.since[row],
            seen=roll.seen[row],
            options=roll.options[row],
            pieces=roll.pieces.get(row),
        )

    def name_of(self, row: int) -> str:
        """A member's own name, or one made from its peer id and address."""
        roll = self.roll
        return roll.names[row] or f"{client_name(roll.peer_id(row))}@{endpoint_from_key(roll.place[row])}"

    def learn(self, size: int | None, piece_length: int | None) -> bool:
        """Take over the file's measures that are not known yet; the first word counts. True when something was new."""
        learned = False
        if self.size is None and size is not None:
            self.size, learned = size, True
        if self.piece_length is None and piece_length:
            self.piece_length, learned = piece_length, True
        if learned and self.size is not None and self.piece_length:
            self.pieces = piece_count(self.size, self.piece_length)
        if learned:
            self._changed()
        return learned

    def add(self, row: int) -> None:
        """Let a row in; it is incomplete until :meth:`set_complete` says otherwise."""
        roll = self.roll
        place = roll.place[row]
        self.members[place] = row
        self._changed()
        roll.slot[row] = len(self._slots)
        self._slots.append(row)
        self.compact += pack_endpoint_key(place)

    def remove(self, row: int) -> None:
        """Let a member go."""
        roll = self.roll
        self.set_complete(row, complete=False)
        del self.members[roll.place[row]]
        self._changed()
        last = self._slots.pop()
        entry = self.compact[-_COMPACT_SIZE:]
        del self.compact[-_COMPACT_SIZE:]
        if last != row:
            # The last one moves into the gap, so that the list stays joined.
            slot = roll.slot[row]
            self._slots[slot] = last
            self.compact[slot * _COMPACT_SIZE : (slot + 1) * _COMPACT_SIZE] = entry
            roll.slot[last] = slot

    def set_complete(self, row: int, *, complete: bool) -> None:
        """Note whether a member has the whole file now."""
        roll = self.roll
        flags = roll.flags[row]
        if complete == bool(flags & COMPLETE):
            return
        roll.flags[row] = flags ^ COMPLETE
        if complete:
            self.complete[row] = None
        else:
            del self.complete[row]
        self.seeds.forget()
        self._changed()
        if flags & EXTENDED:
            (self._askers.add if complete else self._askers.remove)(row)

    def set_extended(self, row: int) -> None:
        """Note that a member keeps the extension."""
        roll = self.roll
        flags = roll.flags[row]
        if not flags & EXTENDED:
            roll.flags[row] = flags | EXTENDED
            self._changed()
            if flags & COMPLETE:
                self._askers.add(row)

    def sample(self, asker: int, most: int, random: Random) -> bytearray:
        """Up to ``most`` members in compact form (BEP 23), never the member ``asker`` (a row).

        A run of the joined list from a random place on: each member is as likely as any other, at the cost of a copy.
        """
        compact = self.compact
        total = len(self.members)
        if most <= 0:
            return bytearray()
        if total - 1 <= most:
            own = self.roll.slot[asker] * _COMPACT_SIZE
            return compact[:own] + compact[own + _COMPACT_SIZE :]
        first = int(random.random() * total)
        place = self.roll.slot[asker] - first
        if place < 0:
            place += total
        if place >= most:
            end = first + most
            run = compact[first * _COMPACT_SIZE : end * _COMPACT_SIZE]
            if end > total:
                run += compact[: (end - total) * _COMPACT_SIZE]
            return run
        # The asker is among them: one more, and without it.
        end = first + most + 1
        run = compact[first * _COMPACT_SIZE : end * _COMPACT_SIZE]
        if end > total:
            run += compact[: (end - total) * _COMPACT_SIZE]
        del run[place * _COMPACT_SIZE : (place + 1) * _COMPACT_SIZE]
        return run

    def seeds_without(self, place: int, peer_id: bytes) -> SeedList:
        """The complete members besides the asker, who is known by its address or by its peer id."""
        starts = self.roll.peer_ids.startswith
        own = [row for row in self._askers.rows(hash(peer_id)) if starts(peer_id, row * PEER_ID_SIZE)]
        at_address = self.members.get(place)
        if at_address is not None and at_address in self.complete and at_address not in own:
            own.append(at_address)
        return SeedList(self, own) if own else self.seeds

    def told_to(self, place: int, peer_id: bytes, first: int) -> bytes | None:
        """What others were told at this moment who asked from there on, where this asker is to be told the same."""
        members, complete = self.members, self.complete
        incomplete = len(members) - len(complete)
        own = members.get(place)
        if own is not None:
            if own in complete:
                return None
            incomplete -= 1
        for row in self._askers.rows(hash(peer_id)):
            if self.roll.peer_ids.startswith(peer_id, row * PEER_ID_SIZE):
                return None
        return self.told.get((first, incomplete))

    def _changed(self) -> None:
        self.moment = object()
        if self.told:
            self.told = {}


class SeedList:
    """The complete members of a swarm in their lasting order, without those in ``without``.

    What is told of them is remembered until :meth:`forget`, for nearly all who ask are told the same.
    """

    __slots__ = ("_names", "_pages", "_swarm", "_without")

    def __init__(self, swarm: Swarm, without: Collection[int] = ()) -> None:
        self._swarm = swarm
        self._without = without
        self._names: tuple[str, ...] | None = None
        self._pages: dict[int, HolderPage] = {}

    def __len__(self) -> int:
        return len(self._swarm.complete) - len(self._without)

    @property
    def all_there_are(self) -> bool:
        """Whether nobody is left out."""
        return not self._without

    def forget(self) -> None:
        """They are others than before."""
        self._names = None
        self._pages.clear()

    def names(self, most: int) -> tuple[str, ...]:
        """The names of the first ``most``, which is the same number each time."""
        if self._names is None:
            self._names = tuple(map(self._swarm.name_of, islice(self._rows(), most)))
        return self._names

    def page(self, first: int) -> HolderPage:
        """Those from the number ``first`` on, as many as fit into an answer."""
        page = self._pages.get(first)
        if page is None:
            page = HolderPage()
            place, name_of = self._swarm.roll.place, self._swarm.name_of
            for row in islice(self._rows(), first, None):
                if not page.add(pack_endpoint_key(place[row]), name_of(row)):
                    break
            if len(self._pages) >= _MAX_PAGES:
                self._pages.clear()
            self._pages[first] = page
        return page

    def _rows(self) -> Iterator[int]:
        complete, without = self._swarm.complete, self._without
        return (row for row in complete if row not in without) if without else iter(complete)
