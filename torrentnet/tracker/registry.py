"""Who has what, now: swarms, their members, and the names that stand for them. No I/O, and the time is passed in."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.tracker.deadlines import Deadlines
from torrentnet.tracker.limits import Limits
from torrentnet.tracker.refusals import Reason, Refused
from torrentnet.tracker.swarm import Holder, Swarm
from torrentnet.wire.handshake import client_name
from torrentnet.wire.pieces import PieceSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.wire.extension import Possession
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp import Announce
    from torrentnet.wire.urldata import Publication


class Registry:
    """All swarms. ``timeout`` (seconds) is the silence after which a peer with the extension is forgotten.

    ``given`` are files whose .torrent the tracker was given: their names are theirs, whoever shares them first, also
    where those who share them never say a name.
    """

    def __init__(self, timeout: float, limits: Limits | None = None, given: Iterable[Info] = ()) -> None:
        self._given = {info.info_hash: info for info in given}
        self._given_names = {info.name: info.info_hash for info in self._given.values()}
        self.timeout = timeout
        self.limits = limits or Limits()
        self._swarms: dict[bytes, Swarm] = {}
        self._names: dict[str, Swarm] = {}
        self._holders: dict[tuple[bytes, str, int], Holder] = {}
        self._per_ip: Counter[str] = Counter()
        self._swarms_per_ip: Counter[str] = Counter()
        self._piece_bytes = 0
        self._late: Deadlines[Holder] = Deadlines(self._due)

    def __len__(self) -> int:
        return len(self._holders)

    @property
    def swarms(self) -> int:
        """How many swarms have a member."""
        return len(self._swarms)

    @property
    def next_expiry(self) -> float:
        """Nobody is to be forgotten before this moment."""
        return self._late.next

    def find(self, info_hash: bytes, ip: str, port: int) -> Holder | None:
        """The member of that swarm at that address."""
        return self._holders.get((info_hash, ip, port))

    def swarm(self, info_hash: bytes) -> Swarm | None:
        """The swarm of an info-hash."""
        return self._swarms.get(info_hash)

    def named(self, name: str) -> Swarm | None:
        """The swarm that a file name stands for."""
        return self._names.get(name)

    def holders(self) -> list[Holder]:
        """All members of all swarms at this moment, in the order of their coming. Safe from other threads."""
        return list(self._holders.values())

    def join(self, announce: Announce, publication: Publication, ip: str, now: float) -> Holder:
        """Let a peer into a swarm, which is made if need be. Raises :class:`Refused`, and then nothing has changed."""
        self._check_room(announce.info_hash, ip)
        known = self._given.get(announce.info_hash)
        if known is not None:
            publication = replace(publication, name=known.name, size=known.length, piece_length=known.piece_length)
        swarm = self._swarms.get(announce.info_hash)
        self._check_name(swarm, announce.info_hash, publication.name)
        if swarm is None:
            swarm = self._swarms[announce.info_hash] = Swarm(announce.info_hash, opened_by=ip)
            self._swarms_per_ip[ip] += 1
        holder = Holder(
            swarm=swarm,
            ip=ip,
            port=announce.port,
            peer_id=announce.peer_id,
            name=publication.peer or f"{client_name(announce.peer_id)}@{ip}:{announce.port}",
            extended=publication.extended,
            left=announce.left,
            since=now,
            seen=now,
            options=announce.options,
        )
        self._holders[announce.info_hash, ip, announce.port] = holder
        self._per_ip[ip] += 1
        swarm.add(holder)
        self._late.add(holder)
        self._bind(swarm, publication)
        swarm.set_complete(holder, complete=not announce.left)
        return holder

    def republish(self, holder: Holder, announce: Announce, publication: Publication) -> bool:
        """Take over what a member says of itself and its file now. True when something about the file was new.

        Its own name it keeps: the log knows it by that. Raises :class:`Refused`, and then nothing has changed.
        """
        self._check_name(holder.swarm, announce.info_hash, publication.name)
        holder.options = announce.options
        if publication.extended and not holder.extended:
            holder.extended = True
            self._late.add(holder)
        return self._bind(holder.swarm, publication)

    def set_complete(self, holder: Holder, *, complete: bool) -> None:
        """Note whether ``holder`` has the whole file."""
        holder.swarm.set_complete(holder, complete=complete)
        if complete:
            self._drop_pieces(holder)

    def set_pieces(self, holder: Holder, possession: Possession) -> int:
        """Take over a possession report; gives how many pieces the peer is known to hold.

        Whether a peer is complete is what it announces (``left``), so a late report cannot make a seed a leecher.
        Raises :class:`Refused` when it contradicts the file's measures, or when there is no more room for bitfields.
        """
        known = holder.swarm.pieces
        if known is not None and possession.pieces != known:
            raise Refused(
                Reason.CONTRADICTION, f"possession: {possession.pieces} pieces where {holder.swarm.label} has {known}"
            )
        if holder.complete:
            return possession.pieces
        pieces = holder.pieces
        if pieces is None or pieces.size != possession.pieces:
            before = 0 if pieces is None else _bitfield_size(pieces.size)
            after = self._piece_bytes - before + _bitfield_size(possession.pieces)
            if after > self.limits.piece_bytes:
                raise Refused(Reason.LIMIT, "the tracker is full: no more room for possession reports")
            self._piece_bytes = after
            pieces = holder.pieces = PieceSet(possession.pieces)
        if possession.first == 0 and possession.window.size == pieces.size:
            holder.pieces = possession.window
            return len(possession.window)
        pieces.replace_window(possession.first, possession.window)
        return len(pieces)

    def remove(self, holder: Holder) -> None:
        """Let ``holder`` go; with the last one goes the swarm, and its name is free."""
        swarm = holder.swarm
        holder.gone = True
        complete = holder.complete
        swarm.remove(holder)
        holder.complete = complete  # what it held when it went, for the log
        self._drop_pieces(holder, keep=True)
        del self._holders[swarm.info_hash, holder.ip, holder.port]
        _decrement(self._per_ip, holder.ip)
        self._late.discard()
        if not swarm.members:
            del self._swarms[swarm.info_hash]
            _decrement(self._swarms_per_ip, swarm.opened_by)
            if swarm.name is not None:
                del self._names[swarm.name]

    def late(self, now: float) -> Iterator[Holder]:
        """Those that have been silent for too long; the caller removes each."""
        return self._late.late(now)

    def _due(self, holder: Holder) -> float | None:
        return None if holder.gone else holder.late_at(self.timeout)

    def _bind(self, swarm: Swarm, publication: Publication) -> bool:
        learned = swarm.learn(publication.size, publication.piece_length)
        if swarm.name is None and publication.name is not None:
            swarm.name = publication.name
            self._names[publication.name] = swarm
            learned = True
        return learned

    def _check_name(self, swarm: Swarm | None, info_hash: bytes, name: str | None) -> None:
        # An info-hash keeps its first name, so another name for it binds nothing and clashes with nobody.
        if name is None or (swarm is not None and swarm.name is not None):
            return
        given = self._given_names.get(name)
        if given is not None and given != info_hash:
            raise Refused(
                Reason.NAME_TAKEN,
                f"name taken: {name} is another file here, whose .torrent the tracker was given;"
                " share yours under another name",
            )
        other = self._names.get(name)
        if other is not None and other.info_hash != info_hash:
            holder = next(iter(other.complete.values()), None) or next(iter(other.members.values()))
            raise Refused(
                Reason.NAME_TAKEN,
                f"name taken: {name} is another file here, held by {holder.name} ({holder.endpoint});"
                " share yours under another name",
            )

    def _check_room(self, info_hash: bytes, ip: str) -> None:
        limits = self.limits
        swarm = self._swarms.get(info_hash)
        full = ""
        if len(self._holders) >= limits.holders:
            full = f"{limits.holders} peers are registered, which is the most it takes"
        elif self._per_ip[ip] >= limits.holders_per_ip:
            full = f"{limits.holders_per_ip} peers are registered from {ip}, which is the most for one address"
        elif swarm is not None and len(swarm.members) >= limits.holders_per_swarm:
            full = f"{limits.holders_per_swarm} peers have joined {swarm.label}, which is the most for one file"
        elif swarm is None and len(self._swarms) >= limits.swarms:
            full = f"{limits.swarms} files are registered, which is the most it takes"
        elif swarm is None and self._swarms_per_ip[ip] >= limits.swarms_per_ip:
            full = f"{limits.swarms_per_ip} files are registered from {ip}, which is the most for one address"
        if full:
            raise Refused(Reason.LIMIT, f"the tracker is full: {full}")

    def _drop_pieces(self, holder: Holder, *, keep: bool = False) -> None:
        if holder.pieces is not None:
            self._piece_bytes -= _bitfield_size(holder.pieces.size)
            if not keep:
                holder.pieces = None


def _bitfield_size(pieces: int) -> int:
    return math.ceil(pieces / 8)


def _decrement(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
