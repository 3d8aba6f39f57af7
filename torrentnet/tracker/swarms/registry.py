"""Who has what, now: swarms, their members, and the names that stand for them. No I/O, and the time is passed in."""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.limits import MAX_GAP, STANDARD_CLIENT_GAPS, STANDARD_CLIENT_TIMEOUT, Limits
from torrentnet.tracker.refusals import RefusalError, RefusalReason
from torrentnet.tracker.swarms.peer_table import EXTENDED, PeerTable
from torrentnet.tracker.swarms.swarm import Swarm, SwarmMember
from torrentnet.tracker.swarms.timer_wheel import TimerWheel
from torrentnet.wire.endpoint import endpoint_from_key, endpoint_key
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.packets import AnnounceRequest
    from torrentnet.wire.udp.possession import PossessionReport
    from torrentnet.wire.udp.url_data import Publication

_WHEEL_BUCKETS: Final = 32
"""Into how many parts the watch divides the time-out, or the silence of standard clients where that is shorter."""
_MIN_BUCKET_WIDTH: Final = 0.05
_MEMBERS_PER_LOCK: Final = 200
"""Members that another thread is told of at once: the loop waits for no more."""


class SwarmRegistry:
    """All swarms. ``timeout`` (seconds) is the silence after which a peer with the extension is forgotten.

    ``given`` are files whose .torrent the tracker was given: their names are theirs, whoever shares them first, also
    where those who share them never say a name.
    """

    def __init__(self, timeout: float, limits: Limits | None = None, given: Iterable[Info] = ()) -> None:
        self._given = {info.info_hash: info for info in given}
        self._given_names = {info.name: info.info_hash for info in self._given.values()}
        self.timeout = timeout
        self.limits = limits or Limits()
        self.roll = PeerTable()
        self.by_hash: dict[bytes, Swarm] = {}
        """The swarms that have a member."""
        self.by_name: dict[str, Swarm] = {}
        """Those of them that have a name; both are the same dictionaries as long as this lives."""
        self._count = 0
        self._per_ip: Counter[str] = Counter()
        self._swarms_per_ip: Counter[str] = Counter()
        self._piece_bytes = 0
        width = max(_MIN_BUCKET_WIDTH, min(timeout, STANDARD_CLIENT_TIMEOUT) / _WHEEL_BUCKETS)
        self._watch = TimerWheel(width, self.roll.watch, self._due)
        # Rows are used again; who looks at them from another thread holds this, and none changes its peer meanwhile.
        self._steady = threading.Lock()

    def __len__(self) -> int:
        return self._count

    @property
    def swarms(self) -> int:
        """How many swarms have a member."""
        return len(self.by_hash)

    @property
    def next_expiry(self) -> float:
        """Nobody is to be forgotten before this moment."""
        return self._watch.next

    def find(self, info_hash: bytes, ip: str, port: int) -> SwarmMember | None:
        """The member of that swarm at that address."""
        swarm = self.by_hash.get(info_hash)
        row = None if swarm is None else swarm.members.get(endpoint_key(ip, port))
        return None if swarm is None or row is None else swarm.holder(row)

    def swarm(self, info_hash: bytes) -> Swarm | None:
        """The swarm of an info-hash."""
        return self.by_hash.get(info_hash)

    def named(self, name: str) -> Swarm | None:
        """The swarm that a file name stands for."""
        return self.by_name.get(name)

    def holders(self) -> Iterator[SwarmMember]:
        """All members, swarm by swarm, each in the order of their coming. For other threads too.

        Who comes or goes meanwhile may be among them or not.
        """
        for swarm in list(self.by_hash.values()):
            places = list(swarm.members)
            for start in range(0, len(places), _MEMBERS_PER_LOCK):
                with self._steady:
                    rows = map(swarm.members.get, places[start : start + _MEMBERS_PER_LOCK])
                    some = [swarm.holder(row) for row in rows if row is not None]
                yield from some

    def heard(self, row: int, now: float) -> None:
        """A member has said something."""
        roll = self.roll
        gap = now - roll.seen[row]
        if gap > roll.gap[row]:
            roll.gap[row] = min(gap, MAX_GAP)
        roll.seen[row] = now

    def join(self, announce: AnnounceRequest, publication: Publication, ip: str, now: float) -> SwarmMember:
        """Let a peer into a swarm, which is made if need be. Raises :class:`RefusalError`, and then nothing has
        changed."""
        self._check_room(announce.info_hash, ip)
        known = self._given.get(announce.info_hash)
        if known is not None:
            publication = replace(publication, name=known.name, size=known.length, piece_length=known.piece_length)
        swarm = self.by_hash.get(announce.info_hash)
        self._check_name(swarm, announce.info_hash, publication.name)
        if swarm is None:
            swarm = self.by_hash[announce.info_hash] = Swarm(self.roll, announce.info_hash, opened_by=ip)
            self._swarms_per_ip[ip] += 1
        place = endpoint_key(ip, announce.port)
        with self._steady:
            row = self.roll.add(swarm, place, announce.peer_id, announce.left, announce.options, now)
            if publication.peer is not None:
                self.roll.names[row] = publication.peer
            swarm.add(row)
            if publication.extended:
                swarm.set_extended(row)
        self._count += 1
        self._per_ip[ip] += 1
        self._watch.add(row)
        self._bind(swarm, publication)
        swarm.set_complete(row, complete=not announce.left)
        return swarm.holder(row)

    def republish(self, holder: SwarmMember, announce: AnnounceRequest, publication: Publication) -> bool:
        """Take over what a member says of itself and its file now. True when something about the file was new.

        Its own name it keeps: the log knows it by that. Raises :class:`RefusalError`, and then nothing has changed.
        """
        self._check_name(holder.swarm, announce.info_hash, publication.name)
        holder.options = self.roll.options[holder.row] = hash(announce.options)
        if publication.extended and not holder.extended:
            holder.extended = True
            holder.swarm.set_extended(holder.row)
            self._watch.add(holder.row)
        return self._bind(holder.swarm, publication)

    def set_left(self, holder: SwarmMember, left: int) -> None:
        """Note what a member lacks, and with it whether it has the whole file; ``holder`` shows it."""
        holder.left = self.roll.left[holder.row] = left
        holder.complete = not left
        holder.swarm.set_complete(holder.row, complete=holder.complete)
        if holder.complete:
            self._drop_pieces(holder.row)
            holder.pieces = None

    def set_pieces(self, holder: SwarmMember, possession: PossessionReport) -> int:
        """Take over a possession report; gives how many pieces the peer is known to hold.

        Whether a peer is complete is what it announces (``left``), so a late report cannot make a seed a leecher.
        Raises :class:`RefusalError` when it contradicts the file's measures, or when there is no more room for
        bitfields.
        """
        known = holder.swarm.pieces
        if known is not None and possession.pieces != known:
            raise RefusalError(
                RefusalReason.CONTRADICTION,
                f"possession: {possession.pieces} pieces where {holder.swarm.label} has {known}",
            )
        if holder.complete:
            return possession.pieces
        pieces = holder.pieces
        if pieces is None or pieces.size != possession.pieces:
            before = 0 if pieces is None else _bitfield_size(pieces.size)
            after = self._piece_bytes - before + _bitfield_size(possession.pieces)
            if after > self.limits.piece_bytes:
                raise RefusalError(RefusalReason.LIMIT, "the tracker is full: no more room for possession reports")
            self._piece_bytes = after
            pieces = PieceSet(possession.pieces)
        if possession.first == 0 and possession.window.size == pieces.size:
            pieces = possession.window
        else:
            pieces.replace_window(possession.first, possession.window)
        holder.pieces = self.roll.pieces[holder.row] = pieces
        return len(pieces)

    def remove(self, holder: SwarmMember) -> None:
        """Let a member go; with the last one goes the swarm, and its name is free. ``holder`` still shows it."""
        swarm, row = holder.swarm, holder.row
        self._watch.remove(row)
        self._drop_pieces(row)
        with self._steady:
            swarm.remove(row)
            self.roll.drop(row)
        self._count -= 1
        _decrement(self._per_ip, holder.ip)
        if not swarm.members:
            del self.by_hash[swarm.info_hash]
            _decrement(self._swarms_per_ip, swarm.opened_by)
            if swarm.name is not None:
                del self.by_name[swarm.name]

    def late(self, now: float) -> Iterator[SwarmMember]:
        """Those that have been silent for too long; the caller removes each."""
        for row in self._watch.late(now):
            swarm = self.roll.swarm[row]
            if swarm is not None:
                yield swarm.holder(row)

    def _due(self, row: int) -> float:
        roll = self.roll
        if roll.flags[row] & EXTENDED:
            return roll.seen[row] + self.timeout
        return roll.seen[row] + max(STANDARD_CLIENT_TIMEOUT, STANDARD_CLIENT_GAPS * roll.gap[row])

    def _bind(self, swarm: Swarm, publication: Publication) -> bool:
        learned = swarm.learn(publication.size, publication.piece_length)
        if swarm.name is None and publication.name is not None:
            swarm.name = publication.name
            self.by_name[publication.name] = swarm
            learned = True
        return learned

    def _check_name(self, swarm: Swarm | None, info_hash: bytes, name: str | None) -> None:
        # An info-hash keeps its first name, so another name for it binds nothing and clashes with nobody.
        if name is None or (swarm is not None and swarm.name is not None):
            return
        given = self._given_names.get(name)
        if given is not None and given != info_hash:
            raise RefusalError(
                RefusalReason.NAME_TAKEN,
                f"name taken: {name} is another file here, whose .torrent the tracker was given;"
                " share yours under another name",
            )
        other = self.by_name.get(name)
        if other is not None and other.info_hash != info_hash:
            row = next(iter(other.complete or other.members.values()))
            raise RefusalError(
                RefusalReason.NAME_TAKEN,
                f"name taken: {name} is another file here,"
                f" held by {other.name_of(row)} ({endpoint_from_key(self.roll.place[row])});"
                " share yours under another name",
            )

    def _check_room(self, info_hash: bytes, ip: str) -> None:
        limits = self.limits
        swarm = self.by_hash.get(info_hash)
        full = ""
        if self._count >= limits.holders:
            full = f"{limits.holders} peers are registered, which is the most it takes"
        elif self._per_ip[ip] >= limits.holders_per_ip:
            full = f"{limits.holders_per_ip} peers are registered from {ip}, which is the most for one address"
        elif swarm is not None and len(swarm.members) >= limits.holders_per_swarm:
            full = f"{limits.holders_per_swarm} peers have joined {swarm.label}, which is the most for one file"
        elif swarm is None and len(self.by_hash) >= limits.swarms:
            full = f"{limits.swarms} files are registered, which is the most it takes"
        elif swarm is None and self._swarms_per_ip[ip] >= limits.swarms_per_ip:
            full = f"{limits.swarms_per_ip} files are registered from {ip}, which is the most for one address"
        if full:
            raise RefusalError(RefusalReason.LIMIT, f"the tracker is full: {full}")

    def _drop_pieces(self, row: int) -> None:
        pieces = self.roll.pieces.pop(row, None)
        if pieces is not None:
            self._piece_bytes -= _bitfield_size(pieces.size)


def _bitfield_size(pieces: int) -> int:
    return math.ceil(pieces / 8)


def _decrement(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
