"""The registry of all swarms, their members and their names.

Tested by tests/unit/tracker/handlers/test_announce.py.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.tracker.refusals import RefusalError, RefusalReason
from torrentnet.tracker.settings import MAX_GAP, STANDARD_CLIENT_GAPS, STANDARD_CLIENT_TIMEOUT, Limits
from torrentnet.tracker.swarms.peer_table import EXTENDED, PROVEN, PeerTable
from torrentnet.tracker.swarms.swarm import Swarm, SwarmMember
from torrentnet.tracker.swarms.timer_wheel import TimerWheel
from torrentnet.wire.endpoint import endpoint_from_key, endpoint_key
from torrentnet.wire.names import canonical_name
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.error_texts import NAME_TAKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.outcome import OutcomeSource
    from torrentnet.wire.udp.packets import AnnounceRequest
    from torrentnet.wire.udp.possession import PossessionReport
    from torrentnet.wire.udp.url_data import Publication

_WHEEL_BUCKETS: Final = 32
"""Buckets of the timer wheel per time-out."""
_MIN_BUCKET_WIDTH: Final = 0.05
_NAME_PENDING: Final = 0
"""In place of the hash of a peer's options: they are read again at each announce, until the file can have its name."""
_MEMBERS_PER_LOCK: Final = 200
"""Members that another thread copies while it holds the lock, so that the loop never waits for long."""


class SwarmRegistry:
    """All swarms; ``timeout`` is the time-out of peers with the extension.

    ``known_files`` are files whose .torrent the tracker has. Their names are reserved and known, even if the peers that
    share the files never announce names.
    """

    def __init__(self, timeout: float, limits: Limits | None = None, known_files: Iterable[Info] = ()) -> None:
        self._known_files = {info.info_hash: info for info in known_files}
        self._reserved_names = {canonical_name(info.name): info for info in self._known_files.values()}
        self.timeout = timeout
        self.limits = limits or Limits()
        self.table: PeerTable[Swarm] = PeerTable()
        self.by_hash: dict[bytes, Swarm] = {}
        """Swarms that have a member; the same dictionary for the registry's whole life."""
        self.by_name: dict[str, Swarm] = {}
        """Swarms that have a member and a name; the same dictionary for the registry's whole life."""
        self._count = 0
        self._count_by_ip: Counter[str] = Counter()
        self._swarms_by_ip: Counter[str] = Counter()
        self._piece_bytes: Counter[str] = Counter()
        self._free_piece_bytes = self.limits.piece_bytes
        width = max(_MIN_BUCKET_WIDTH, min(timeout, STANDARD_CLIENT_TIMEOUT) / _WHEEL_BUCKETS)
        self._wheel = TimerWheel(width, self.table.wheel_bucket, self._deadline)
        # Held while rows are read by another thread or assigned to peers: no row changes its peer while it is copied.
        self._rows_lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    @property
    def next_deadline(self) -> float:
        """No member expires before this time."""
        return self._wheel.next_deadline

    @property
    def known_files(self) -> Iterable[Info]:
        """Files whose .torrent the tracker has."""
        return self._known_files.values()

    def reserved(self, name: str) -> Info | None:
        """Return the file for which a name is reserved."""
        return self._reserved_names.get(name)

    def find(self, info_hash: bytes, ip: str, port: int) -> SwarmMember | None:
        """Return the member of a swarm at an endpoint."""
        swarm = self.by_hash.get(info_hash)
        row = None if swarm is None else swarm.members.get(endpoint_key(ip, port))
        return None if swarm is None or row is None else swarm.member(row)

    def members(self) -> Iterator[SwarmMember]:
        """Yield all members, swarm by swarm, in order of joining; thread-safe.

        Members that join or leave during the iteration may be missing or present.
        """
        for swarm in list(self.by_hash.values()):
            keys = list(swarm.members)
            for start in range(0, len(keys), _MEMBERS_PER_LOCK):
                with self._rows_lock:
                    rows = map(swarm.members.get, keys[start : start + _MEMBERS_PER_LOCK])
                    copies = [swarm.member(row) for row in rows if row is not None]
                yield from copies

    def mark_seen(self, row: int, now: float) -> None:
        """Record that a member sent a datagram."""
        table = self.table
        gap = now - table.last_seen[row]
        if gap > table.longest_gap[row]:
            table.longest_gap[row] = min(gap, MAX_GAP)
        table.last_seen[row] = now

    def join(self, announce: AnnounceRequest, publication: Publication, ip: str, now: float) -> SwarmMember:
        """Add a peer to a swarm, which is created if needed.

        Raises :class:`RefusalError` and then changes nothing. A name that is another file's is refused with the peer
        only if the peer is here to share under this name; any other peer joins, and its file stays without a name.
        """
        self._check_limits(announce.info_hash, ip)
        known = self._known_files.get(announce.info_hash)
        if known is not None:
            publication = replace(
                publication, name=canonical_name(known.name), size=known.length, piece_length=known.piece_length
            )
        swarm = self.by_hash.get(announce.info_hash)
        conflict = self.name_conflict(swarm, announce.info_hash, publication.name)
        if conflict:
            if publication.extended and not announce.left:
                raise RefusalError(RefusalReason.NAME_TAKEN, conflict)
            publication = replace(publication, name=None)
        if swarm is None:
            swarm = self.by_hash[announce.info_hash] = Swarm(self.table, announce.info_hash, opened_by=ip)
            self._swarms_by_ip[ip] += 1
        key = endpoint_key(ip, announce.port)
        with self._rows_lock:
            row = self.table.add(swarm, key, announce.peer_id, announce.left, announce.options, now)
            if publication.peer is not None:
                self.table.names[row] = publication.peer
            swarm.add(row)
            if publication.extended:
                swarm.set_extended(row)
        self._count += 1
        self._count_by_ip[ip] += 1
        self._wheel.schedule(row)
        self._bind(swarm, publication)
        if conflict:
            self.table.options_hash[row] = _NAME_PENDING
        swarm.set_complete(row, complete=not announce.left)
        return swarm.member(row)

    def update_publication(self, member: SwarmMember, announce: AnnounceRequest, publication: Publication) -> bool:
        """Store what a member publishes about its file; return whether that was new.

        The peer keeps its first name. The name of another file is ignored until it is free.
        """
        options_hash = hash(announce.options)
        if self.name_conflict(member.swarm, announce.info_hash, publication.name):
            publication, options_hash = replace(publication, name=None), _NAME_PENDING
        member.options_hash = self.table.options_hash[member.row] = options_hash
        if publication.extended and not member.extended:
            member.extended = True
            member.swarm.set_extended(member.row)
            self._wheel.schedule(member.row)
        return self._bind(member.swarm, publication)

    def confirm(self, info_hash: bytes | None, sources: Iterable[OutcomeSource]) -> Iterator[SwarmMember]:
        """Yield the standard clients that are first seen to have pieces by a download."""
        swarm = None if info_hash is None else self.by_hash.get(info_hash)
        if swarm is None:
            return
        for source in sources:
            row = swarm.members.get(endpoint_key(*source.endpoint))
            if row is not None and source.pieces and not self.table.flags[row] & (EXTENDED | PROVEN):
                self.table.flags[row] |= PROVEN
                yield swarm.member(row)

    def set_left(self, member: SwarmMember, left: int) -> None:
        """Store how many bytes a member lacks; a member that lacks none is complete."""
        member.left = self.table.left[member.row] = left
        member.complete = not left
        member.swarm.set_complete(member.row, complete=member.complete)
        if member.complete:
            self._drop_pieces(member.row)
            member.pieces = None

    def update_pieces(self, member: SwarmMember, report: PossessionReport) -> tuple[int, bool]:
        """Store a possession report.

        Return how many pieces the peer is known to hold, and whether that is news.

        A late report cannot turn a seed into a leecher, because a peer is complete by its announces alone. Raises
        :class:`RefusalError` when the report contradicts the file's size or exceeds the memory for bitfields.
        """
        known = member.swarm.pieces
        if known is not None and report.pieces != known:
            raise RefusalError(
                RefusalReason.CONTRADICTION,
                f"possession: {report.pieces} pieces where {member.swarm.label} has {known}",
            )
        if member.complete:
            return report.pieces, False
        pieces = member.pieces
        is_new = pieces is None or pieces.size != report.pieces
        if pieces is None or is_new:
            self._reserve_pieces(member, report.pieces)
            pieces = self.table.pieces[member.row] = member.pieces = PieceSet(report.pieces)
        changed = pieces.replace_window(report.first, report.window)
        return len(pieces), changed or is_new

    def remove(self, member: SwarmMember) -> None:
        """Remove a member; remove its swarm too, and free its name, if it was the last."""
        swarm, row = member.swarm, member.row
        self._wheel.cancel(row)
        self._drop_pieces(row)
        with self._rows_lock:
            swarm.remove(row)
            self.table.free(row)
        self._count -= 1
        _decrement(self._count_by_ip, member.endpoint.ip)
        if not swarm.members:
            del self.by_hash[swarm.info_hash]
            _decrement(self._swarms_by_ip, swarm.opened_by)
            if swarm.name is not None:
                del self.by_name[swarm.name]

    def expire(self, now: float) -> Iterator[SwarmMember]:
        """Yield the members whose time-out has passed; the caller removes each."""
        for row in self._wheel.expire(now):
            swarm = self.table.swarm[row]
            if swarm is not None:
                yield swarm.member(row)

    def _deadline(self, row: int) -> float:
        table = self.table
        if table.flags[row] & EXTENDED:
            return table.last_seen[row] + self.timeout
        return table.last_seen[row] + max(STANDARD_CLIENT_TIMEOUT, STANDARD_CLIENT_GAPS * table.longest_gap[row])

    def _bind(self, swarm: Swarm, publication: Publication) -> bool:
        changed = swarm.set_measures(publication.size, publication.piece_length)
        if changed and swarm.pieces is not None:
            # Reports from before the number of pieces was known may contradict it.
            reported = self.table.pieces
            for row in [row for row in swarm.members.values() if row in reported]:
                if reported[row].size != swarm.pieces:
                    self._drop_pieces(row)
        if swarm.name is None and publication.name is not None:
            swarm.name = publication.name
            self.by_name[publication.name] = swarm
            changed = True
        return changed

    def name_conflict(self, swarm: Swarm | None, info_hash: bytes, name: str | None) -> str:
        """Return why a file cannot have a name, which is another file's, or nothing."""
        # An info-hash keeps its first name: another name for it is ignored, and conflicts with no file.
        if name is None or (swarm is not None and swarm.name is not None):
            return ""
        reserved_for = self._reserved_names.get(name)
        if reserved_for is not None and reserved_for.info_hash != info_hash:
            return (
                f"{NAME_TAKEN}: {name} is another file here, whose .torrent the tracker was given;"
                " share yours under another name"
            )
        other = self.by_name.get(name)
        if other is not None and other.info_hash != info_hash:
            row = next(iter(other.complete or other.members.values()))
            return (
                f"{NAME_TAKEN}: {name} is another file here,"
                f" held by {other.name_of(row)} ({endpoint_from_key(self.table.endpoint_key[row])});"
                " share yours under another name"
            )
        return ""

    def _check_limits(self, info_hash: bytes, ip: str) -> None:
        limits = self.limits
        swarm = self.by_hash.get(info_hash)
        full = ""
        if self._count >= limits.holders:
            full = f"{limits.holders} peers are registered, which is the maximum"
        elif self._count_by_ip[ip] >= limits.holders_per_ip:
            full = f"{limits.holders_per_ip} peers are registered from {ip}, which is the maximum for one address"
        elif swarm is not None and len(swarm.members) >= limits.holders_per_swarm:
            full = f"{limits.holders_per_swarm} peers have joined {swarm.label}, which is the maximum for one file"
        elif swarm is None and len(self.by_hash) >= limits.swarms:
            full = f"{limits.swarms} files are registered, which is the maximum"
        elif swarm is None and self._swarms_by_ip[ip] >= limits.swarms_per_ip:
            full = f"{limits.swarms_per_ip} files are registered from {ip}, which is the maximum for one address"
        if full:
            raise RefusalError(RefusalReason.LIMIT, f"the tracker is full: {full}")

    def _reserve_pieces(self, member: SwarmMember, pieces: int) -> None:
        """Reserve the memory of a bitfield. Raises :class:`RefusalError`."""
        ip = member.endpoint.ip
        present = 0 if member.pieces is None else _bitfield_size(member.pieces.size)
        more = _bitfield_size(pieces) - present
        # One address may have as much as it leaves free: a few addresses together never take all.
        if more > self._free_piece_bytes or self._piece_bytes[ip] + more > max(
            self._free_piece_bytes - more, self.limits.piece_bytes_per_ip
        ):
            raise RefusalError(RefusalReason.LIMIT, "the tracker is full: no memory left for possession reports")
        self._piece_bytes[ip] += more
        self._free_piece_bytes -= more

    def _drop_pieces(self, row: int) -> None:
        pieces = self.table.pieces.pop(row, None)
        if pieces is not None:
            size = _bitfield_size(pieces.size)
            self._free_piece_bytes += size
            ip = endpoint_from_key(self.table.endpoint_key[row]).ip
            self._piece_bytes[ip] -= size
            if not self._piece_bytes[ip]:
                del self._piece_bytes[ip]


def _bitfield_size(pieces: int) -> int:
    return math.ceil(pieces / 8)


def _decrement(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
