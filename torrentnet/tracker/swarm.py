"""One swarm and the peers in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.tracker.limits import MAX_GAP_S, STANDARD_GAPS, STANDARD_SILENCE_S
from torrentnet.wire.info import piece_count
from torrentnet.wire.udp import Endpoint, pack_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from torrentnet.wire.pieces import PieceSet

_COMPACT = 6


@dataclass(slots=True, eq=False)
class Holder:
    """One peer in one swarm. Times are seconds of the caller's clock."""

    swarm: Swarm
    ip: str
    port: int
    peer_id: bytes
    name: str
    """The peer's own name, or one made from its peer id and address."""
    extended: bool
    """Whether it keeps this project's extension, and with it the tracker's time-out exactly."""
    left: int
    """Bytes that it lacks, as it announced last."""
    since: float
    seen: float
    options: bytes
    """The announce options that ``name`` and ``extended`` were read from."""
    complete: bool = False
    pieces: PieceSet | None = None
    """What it holds, where it has reported that; None for complete peers and standard clients."""
    gap: float = 0.0
    """Longest time between two announces so far."""
    slot: int = -1
    """Its place in the swarm's compact list."""
    gone: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(self.ip, self.port)

    def heard(self, now: float) -> None:
        """It has said something."""
        gap = now - self.seen
        if gap > self.gap:
            self.gap = min(gap, MAX_GAP_S)
        self.seen = now

    def late_at(self, timeout: float) -> float:
        """When it is to be forgotten if nothing more is heard; ``timeout`` holds for peers with the extension."""
        if self.extended:
            return self.seen + timeout
        return self.seen + max(STANDARD_SILENCE_S, STANDARD_GAPS * self.gap)

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
    """The peers of one info-hash, in the order of their coming."""

    info_hash: bytes
    opened_by: str
    """Address whose announce made it."""
    name: str | None = None
    size: int | None = None
    piece_length: int | None = None
    pieces: int | None = None
    downloads: int = 0
    """``completed`` events (BEP 48)."""
    members: dict[tuple[str, int], Holder] = field(default_factory=dict)
    complete: dict[tuple[str, int], Holder] = field(default_factory=dict)
    """Those that have the whole file, in the order in which they had it; a later one never moves an earlier one."""
    _complete_ids: Counter[bytes] = field(default_factory=Counter)
    _compact: bytearray = field(default_factory=bytearray)
    _slots: list[Holder] = field(default_factory=list)

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

    def learn(self, size: int | None, piece_length: int | None) -> bool:
        """Take over the file's measures that are not known yet; the first word counts. True when something was new."""
        learned = False
        if self.size is None and size is not None:
            self.size, learned = size, True
        if self.piece_length is None and piece_length:
            self.piece_length, learned = piece_length, True
        if learned and self.size is not None and self.piece_length:
            self.pieces = piece_count(self.size, self.piece_length)
        return learned

    def add(self, holder: Holder) -> None:
        """Let ``holder`` in; it is incomplete until :meth:`set_complete` says otherwise."""
        self.members[holder.ip, holder.port] = holder
        holder.slot = len(self._slots)
        self._slots.append(holder)
        self._compact += pack_endpoint(holder.endpoint)

    def remove(self, holder: Holder) -> None:
        """Let ``holder`` go."""
        self.set_complete(holder, complete=False)
        del self.members[holder.ip, holder.port]
        last = self._slots.pop()
        entry = self._compact[-_COMPACT:]
        del self._compact[-_COMPACT:]
        if last is not holder:
            # The last one moves into the gap, so that the list stays joined.
            start = holder.slot * _COMPACT
            self._slots[holder.slot] = last
            self._compact[start : start + _COMPACT] = entry
            last.slot = holder.slot
        holder.slot = -1

    def set_complete(self, holder: Holder, *, complete: bool) -> None:
        """Note whether ``holder`` has the whole file now."""
        if complete == holder.complete:
            return
        holder.complete = complete
        if complete:
            self.complete[holder.ip, holder.port] = holder
            self._complete_ids[holder.peer_id] += 1
            return
        del self.complete[holder.ip, holder.port]
        self._complete_ids[holder.peer_id] -= 1
        if not self._complete_ids[holder.peer_id]:
            del self._complete_ids[holder.peer_id]

    def sample(self, asker: Holder | None, most: int, random: Random) -> bytes:
        """Up to ``most`` members in compact form (BEP 23), never ``asker``.

        A run of the joined list from a random place on: each member is as likely as any other, at the cost of a copy.
        """
        total = len(self._slots)
        others = total if asker is None else total - 1
        if most <= 0 or others <= 0:
            return b""
        compact = self._compact
        if others <= most:
            if asker is None:
                return bytes(compact)
            own = asker.slot * _COMPACT
            return bytes(compact[:own] + compact[own + _COMPACT :])
        first = int(random.random() * total)
        taken = most + 1  # one to spare, for the asker
        end = first + taken
        run = compact[first * _COMPACT : end * _COMPACT]
        if end > total:
            run += compact[: (end - total) * _COMPACT]
        if asker is not None:
            place = asker.slot - first
            if place < 0:
                place += total
            if place < taken:
                del run[place * _COMPACT : (place + 1) * _COMPACT]
                return bytes(run)
        del run[most * _COMPACT :]
        return bytes(run)

    def seeds_without(self, ip: str, port: int, peer_id: bytes) -> tuple[int, Iterator[Holder]]:
        """How many complete members there are besides the asker, and these in their lasting order.

        The asker is known by its address or by its peer id.
        """
        at_address = self.complete.get((ip, port))
        own = self._complete_ids.get(peer_id, 0)
        if at_address is not None and at_address.peer_id != peer_id:
            own += 1
        others = (holder for holder in self.complete.values() if holder is not at_address and holder.peer_id != peer_id)
        return len(self.complete) - own, others
