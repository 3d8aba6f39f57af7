"""The rows of the request log that are not written in stone yet: who asked, and whether it is still heard of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torrentnet.tracker.limits import Limits
from torrentnet.tracker.refusals import RefusalError, RefusalReason
from torrentnet.tracker.swarms.expiry_queue import ExpiryQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.tracker.journal.records import RequestOpened
    from torrentnet.tracker.swarms.swarm import Swarm

MAX_REQUEST_NUMBER = 0xFFFFFFFF
"""Requests are numbered from 1 in 32 bits (docs/protocol.md)."""

_MAX_REPEATS = 8
"""Last look-ups of a row whose repeats are known as such when it is closed."""


class Requester:
    """A peer with open requests; its deadline is that of all of them. Nearly all have one."""

    __slots__ = ("more", "row", "seen")

    def __init__(self, seen: float) -> None:
        self.seen = seen
        self.row: OpenRequest | None = None
        self.more: dict[int, OpenRequest] | None = None
        """Those besides ``row``, by number."""

    def rows(self) -> list[OpenRequest]:
        """All of them."""
        return [*(() if self.row is None else (self.row,)), *(self.more or {}).values()]

    def add(self, row: OpenRequest) -> None:
        """One more."""
        if self.more is None:
            self.more = {row.number: row}
        else:
            self.more[row.number] = row

    def remove(self, row: OpenRequest) -> None:
        """One less."""
        if self.row is not row:
            assert self.more is not None
            del self.more[row.number]
        else:
            # The next one in their order.
            self.row = self.more.pop(next(iter(self.more))) if self.more else None


class LastAnswer(NamedTuple):
    """What a look-up of a row was told, in case that the same is asked again and nothing has changed."""

    ip: int
    """The requester's address as a number."""
    swarm: Swarm
    moment: object
    """The swarm's, then."""
    asked: bytes
    """The look-up, from behind its transaction id on."""
    tail: bytes
    """The answer, from behind the request's number on."""


@dataclass(slots=True, eq=False)
class OpenRequest:
    """One request for a file."""

    number: int
    asker: Requester
    ip: str
    port: int
    peer_id: bytes
    peer: str
    """The requester's name."""
    file: str
    info_hash: bytes | None
    """None while the name stands for nothing."""
    holders: int
    """How many had the file whole, at the moment that the row lists them from."""
    told: str = ""
    """What lines of the log say of peer and file, where that was put together already."""
    inherited: bool = False
    """Open since an earlier life of the tracker, and not looked up since."""
    again: LastAnswer | None = None
    repeatable: list[int] | None = None
    """Transaction ids of its last look-ups under its number."""

    def note(self, transaction_id: int) -> None:
        """A look-up has gone on with it."""
        if self.repeatable is None:
            self.repeatable = [transaction_id]
            return
        self.repeatable.append(transaction_id)
        if len(self.repeatable) > 2 * _MAX_REPEATS:
            del self.repeatable[:-_MAX_REPEATS]


class OpenRequests:
    """Open rows, and the last closed ones. ``timeout`` is the silence in seconds after which a requester is lost."""

    def __init__(self, timeout: float, first_number: int = 1, limits: Limits | None = None) -> None:
        self.timeout = timeout
        self.limits = limits or Limits()
        self._next = first_number
        self.askers: dict[tuple[str, bytes], Requester] = {}
        """Those who have a request open, by address and peer id; it is the same dictionary as long as this lives."""
        self.open_rows: dict[int, OpenRequest] = {}
        """By number; it is the same dictionary as long as this lives."""
        self._per_ip: dict[str, int] = {}
        self._given_up: OrderedDict[int, OpenRequest] = OrderedDict()
        self._repeatable: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._late: ExpiryQueue[Requester] = ExpiryQueue(self._due)

    def __len__(self) -> int:
        return len(self.open_rows)

    @property
    def next_expiry(self) -> float:
        """No requester is lost before this moment."""
        return self._late.next

    def heard(self, ip: str, peer_id: bytes, now: float) -> bool:
        """A peer has said something, whatever it was. Gives whether it has a request open."""
        asker = self.askers.get((ip, peer_id))
        if asker is None:
            return False
        asker.seen = now
        return True

    def open(
        self,
        ip: str,
        port: int,
        peer_id: bytes,
        peer: str,
        file: str,
        info_hash: bytes | None,
        holders: int,
        now: float,
        told: str = "",
    ) -> OpenRequest:
        """Begin a row. Raises :class:`RefusalError` when too many wait."""
        if len(self.open_rows) >= self.limits.open_requests:
            raise RefusalError(
                RefusalReason.LIMIT, f"the tracker is full: {len(self.open_rows)} requests wait for their outcome"
            )
        waiting = self._per_ip.get(ip, 0)
        if waiting >= self.limits.open_requests_per_ip:
            raise RefusalError(
                RefusalReason.LIMIT, f"the tracker is full: {waiting} requests from {ip} wait for their outcome"
            )
        number = self._next
        self._next = number % MAX_REQUEST_NUMBER + 1
        # What _asker() and _wait() do, without the calls.
        key = ip, peer_id
        asker = self.askers.get(key)
        if asker is None:
            asker = self.askers[key] = Requester(now)
            row = OpenRequest(number, asker, ip, port, peer_id, peer, file, info_hash, holders, told)
            asker.row = row
            self._late.add(asker, now + self.timeout)
        else:
            asker.seen = now
            row = OpenRequest(number, asker, ip, port, peer_id, peer, file, info_hash, holders, told)
            asker.add(row)
        self.open_rows[number] = row
        self._per_ip[ip] = waiting + 1
        return row

    def load(self, record: RequestOpened, now: float) -> None:
        """A row that an earlier life of the tracker left open; its requester has the time-out to be heard of."""
        asker = self._asker(record.ip, record.peer_id, now)
        _, number, peer, ip, port, peer_id, file, info_hash, _, total = record
        self._wait(OpenRequest(number, asker, ip, port, peer_id, peer, file, info_hash, total, inherited=True))

    def own(self, number: int, ip: str, peer_id: bytes, file: str) -> OpenRequest | None:
        """The requester's own open row of that number, if that is for this file."""
        row = self.open_rows.get(number)
        if row is None or not _owns(row, ip, peer_id) or row.file != file:
            return None
        row.inherited = False
        return row

    def is_repeat(self, number: int, transaction_id: int, ip: str) -> bool:
        """Whether this is a late repeat of one of the last look-ups under the number of a row that is closed now."""
        return self._repeatable.get((number, transaction_id)) == ip

    def resume(self, number: int, ip: str, peer_id: bytes, file: str, now: float) -> tuple[OpenRequest, bool] | None:
        """The requester's own row for that file which is not open under that number, and whether it was given up.

        None when there is none, or when it has its outcome. Number 0 means a row that an earlier life of the tracker
        began: its answer was lost together with that life.
        """
        if not number:
            asker = self.askers.get((ip, peer_id))
            for waiting in () if asker is None else asker.rows():
                if waiting.inherited and waiting.file == file:
                    waiting.inherited = False
                    return waiting, False
            return None
        row = self._given_up.get(number)
        if row is None or not _owns(row, ip, peer_id) or row.file != file:
            return None
        limits = self.limits
        if len(self.open_rows) >= limits.open_requests or self._per_ip.get(ip, 0) >= limits.open_requests_per_ip:
            return None
        del self._given_up[number]
        row.asker, row.again, row.repeatable = self._asker(ip, peer_id, now), None, None
        self._wait(row)
        return row, True

    def close(self, number: int, ip: str, peer_id: bytes, *, succeeded: bool) -> OpenRequest | None:
        """The requester reports the outcome: the row that takes it, or None when none may.

        A row that had been given up takes a success, for that shows that it was only cut off.
        """
        row = self.open_rows.get(number)
        if row is not None and _owns(row, ip, peer_id):
            self.take(row)
            return row
        row = self._given_up.get(number)
        if row is not None and succeeded and _owns(row, ip, peer_id):
            del self._given_up[number]
            return row
        return None

    def is_foreign(self, number: int, ip: str, peer_id: bytes) -> bool:
        """Whether that row is open and somebody else's."""
        row = self.open_rows.get(number)
        return row is not None and not _owns(row, ip, peer_id)

    def give_up(
        self, ip: str, peer_id: bytes, info_hash: bytes | None = None, *, file: str | None = None
    ) -> list[OpenRequest]:
        """End the open rows of a peer (of one content or file name only, if given) without an outcome; gives them."""
        asker = self.askers.get((ip, peer_id))
        if asker is None:
            return []
        rows = [
            row
            for row in asker.rows()
            if (info_hash is None or row.info_hash == info_hash) and (file is None or row.file == file)
        ]
        for row in rows:
            self.abandon(row)
        return rows

    def abandon(self, row: OpenRequest) -> None:
        """End an open row without an outcome."""
        self.take(row)
        self._given_up[row.number] = row
        if len(self._given_up) > self.limits.closed_requests:
            self._given_up.popitem(last=False)

    def late(self, now: float) -> Iterator[OpenRequest]:
        """The rows of requesters that have been silent for too long; they are given up."""
        for asker in self._late.late(now):
            if asker.row is not None:
                yield from self.give_up(asker.row.ip, asker.row.peer_id)

    def _due(self, asker: Requester) -> float | None:
        return None if asker.row is None else asker.seen + self.timeout

    def _asker(self, ip: str, peer_id: bytes, now: float) -> Requester:
        key = ip, peer_id
        asker = self.askers.get(key)
        if asker is None:
            asker = self.askers[key] = Requester(now)
        else:
            asker.seen = now
        return asker

    def _wait(self, row: OpenRequest) -> None:
        asker, ip = row.asker, row.ip
        if asker.row is None:
            asker.row = row
            self._late.add(asker, asker.seen + self.timeout)
        else:
            asker.add(row)
        self.open_rows[row.number] = row
        self._per_ip[ip] = self._per_ip.get(ip, 0) + 1

    def take(self, row: OpenRequest) -> None:
        """Close an open row, whose outcome is there."""
        asker, ip = row.asker, row.ip
        if row.repeatable is not None:
            for transaction_id in row.repeatable:
                self._repeatable[row.number, transaction_id] = ip
            while len(self._repeatable) > self.limits.answers:
                self._repeatable.popitem(last=False)
        del self.open_rows[row.number]
        waiting = self._per_ip[ip] - 1
        if waiting:
            self._per_ip[ip] = waiting
        else:
            del self._per_ip[ip]
        if asker.more:
            asker.remove(row)
        else:
            asker.row = None
            del self.askers[ip, row.peer_id]
            self._late.discard()


def _owns(row: OpenRequest, ip: str, peer_id: bytes) -> bool:
    return row.peer_id == peer_id and row.ip == ip
