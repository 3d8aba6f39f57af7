"""The requests that wait for their outcome, and when their peers expire.

A request is opened by a look-up and closed by an outcome. Until then its row in the request log may still change.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.tracker.limits import Limits
from torrentnet.tracker.refusals import RefusalError, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.tracker.swarms.swarm import Swarm

MAX_REQUEST_NUMBER: Final = 0xFFFFFFFF
"""Requests are numbered from 1 in 32 bits (docs/protocol.md)."""

_MAX_REPEATS: Final = 8
"""Look-ups per request whose late repeats are recognized after the request is closed."""
_SLACK: Final = 64


class Requester:
    """A peer with open requests, nearly always one, and their common deadline."""

    __slots__ = ("first", "last_seen", "others")

    def __init__(self, now: float) -> None:
        self.last_seen = now
        self.first: OpenRequest | None = None
        """None when no request is open."""
        self.others: dict[int, OpenRequest] | None = None
        """Open requests besides ``first``, by number."""

    def requests(self) -> list[OpenRequest]:
        """Return all open requests of the peer."""
        return [*(() if self.first is None else (self.first,)), *(self.others or {}).values()]

    def add(self, request: OpenRequest) -> None:
        """Add a request to those after the first."""
        if self.others is None:
            self.others = {request.number: request}
        else:
            self.others[request.number] = request

    def remove(self, request: OpenRequest) -> None:
        """Remove a request; the oldest of the others becomes the first."""
        if self.first is not request:
            assert self.others is not None
            del self.others[request.number]
        else:
            self.first = self.others.pop(next(iter(self.others))) if self.others else None


class LastAnswer(NamedTuple):
    """The last answer to a request's look-up, valid for one swarm version."""

    ip: int
    """Address of the requester as a number."""
    swarm: Swarm
    version: object
    """Version of the swarm at that time."""
    lookup: bytes
    """The look-up without connection id, action and transaction id."""
    tail: bytes
    """The answer behind the request's number."""


@dataclass(slots=True, eq=False)
class OpenRequest:
    """One request for a file: a row of the request log."""

    number: int
    requester: Requester
    ip: str
    port: int
    peer_id: bytes
    peer: str
    """Name of the requester."""
    file: str
    info_hash: bytes | None
    """None while no swarm has this name."""
    holder_count: int
    """Number of complete peers when the request found its first holders."""
    log_fields: str = ""
    """Fields ``peer`` and ``file`` of the log's lines, if already formatted."""
    restored: bool = False
    """Opened by an earlier process of the tracker, and not looked up since."""
    last_answer: LastAnswer | None = None
    transactions: list[int] | None = None
    """Transaction ids of the last look-ups under the request's number."""

    def note_transaction(self, transaction_id: int) -> None:
        """Remember the transaction id of a look-up under the request's number."""
        if self.transactions is None:
            self.transactions = [transaction_id]
            return
        self.transactions.append(transaction_id)
        if len(self.transactions) > 2 * _MAX_REPEATS:
            del self.transactions[:-_MAX_REPEATS]


class OpenRequests:
    """Open requests, and the last abandoned ones.

    A request is *abandoned* when it ends without an outcome from its requester. A requester expires after ``timeout``
    seconds of silence, and its requests with it.
    """

    def __init__(self, timeout: float, first_number: int = 1, limits: Limits | None = None) -> None:
        self.timeout = timeout
        self.limits = limits or Limits()
        self._next_number = first_number
        self.requesters: dict[tuple[str, bytes], Requester] = {}
        """Peers with an open request, by address and peer id; the same dictionary for this object's whole life."""
        self.by_number: dict[int, OpenRequest] = {}
        """Open requests; the same dictionary for this object's whole life."""
        self._count_by_ip: dict[str, int] = {}
        self._abandoned: OrderedDict[int, OpenRequest] = OrderedDict()
        self._closed_transactions: OrderedDict[tuple[int, int], str] = OrderedDict()
        # The expiry queue, a heap. Entries are not moved when a peer is heard, but corrected when they come up.
        self._expiry_queue: list[tuple[float, int, Requester]] = []
        self._serial = itertools.count()
        self._stale = 0

    def __len__(self) -> int:
        return len(self.by_number)

    @property
    def next_deadline(self) -> float:
        """No requester expires before this time; infinity when there is none."""
        return self._expiry_queue[0][0] if self._expiry_queue else math.inf

    def mark_seen(self, ip: str, peer_id: bytes, now: float) -> bool:
        """Record that a peer sent a datagram. Return whether it has an open request."""
        requester = self.requesters.get((ip, peer_id))
        if requester is None:
            return False
        requester.last_seen = now
        return True

    def open(
        self,
        ip: str,
        port: int,
        peer_id: bytes,
        peer: str,
        file: str,
        info_hash: bytes | None,
        holder_count: int,
        now: float,
        log_fields: str = "",
    ) -> OpenRequest:
        """Open a request. Raises :class:`RefusalError` when too many are open."""
        if len(self.by_number) >= self.limits.open_requests:
            raise RefusalError(
                RefusalReason.LIMIT, f"the tracker is full: {len(self.by_number)} requests wait for their outcome"
            )
        waiting = self._count_by_ip.get(ip, 0)
        if waiting >= self.limits.open_requests_per_ip:
            raise RefusalError(
                RefusalReason.LIMIT, f"the tracker is full: {waiting} requests from {ip} wait for their outcome"
            )
        number = self._next_number
        self._next_number = number % MAX_REQUEST_NUMBER + 1
        # The same as _requester() and _add(), without the calls: every new look-up passes here.
        key = ip, peer_id
        requester = self.requesters.get(key)
        if requester is None:
            requester = self.requesters[key] = Requester(now)
            request = OpenRequest(number, requester, ip, port, peer_id, peer, file, info_hash, holder_count, log_fields)
            requester.first = request
            heapq.heappush(self._expiry_queue, (now + self.timeout, next(self._serial), requester))
        else:
            requester.last_seen = now
            request = OpenRequest(number, requester, ip, port, peer_id, peer, file, info_hash, holder_count, log_fields)
            requester.add(request)
        self.by_number[number] = request
        self._count_by_ip[ip] = waiting + 1
        return request

    def restore(self, request: OpenRequest, now: float) -> None:
        """Add a request that an earlier process left open, as if heard ``now``."""
        request.requester, request.restored = self._requester(request.ip, request.peer_id, now), True
        self._add(request)

    def find_own(self, number: int, ip: str, peer_id: bytes, file: str) -> OpenRequest | None:
        """Return the open request of a number if requester and file match."""
        request = self.by_number.get(number)
        if request is None or not _owns(request, ip, peer_id) or request.file != file:
            return None
        request.restored = False
        return request

    def is_late_repeat(self, number: int, transaction_id: int, ip: str) -> bool:
        """Return whether this repeats a late look-up of a closed request."""
        return self._closed_transactions.get((number, transaction_id)) == ip

    def resume(self, number: int, ip: str, peer_id: bytes, file: str, now: float) -> tuple[OpenRequest, bool] | None:
        """Return the request that a look-up continues, and if it was abandoned.

        None when there is none, or when it has its outcome. Number 0 finds a request that an earlier process of the
        tracker opened: the answer with its number was lost together with that process.
        """
        if not number:
            requester = self.requesters.get((ip, peer_id))
            for waiting in () if requester is None else requester.requests():
                if waiting.restored and waiting.file == file:
                    waiting.restored = False
                    return waiting, False
            return None
        request = self._abandoned.get(number)
        if request is None or not _owns(request, ip, peer_id) or request.file != file:
            return None
        limits = self.limits
        if len(self.by_number) >= limits.open_requests or self._count_by_ip.get(ip, 0) >= limits.open_requests_per_ip:
            return None
        del self._abandoned[number]
        request.requester, request.last_answer, request.transactions = self._requester(ip, peer_id, now), None, None
        self._add(request)
        return request, True

    def close_by_outcome(self, number: int, ip: str, peer_id: bytes, *, succeeded: bool) -> OpenRequest | None:
        """Close and return the request of a reported outcome, if there is one.

        An abandoned request takes a success, which shows that the requester was only cut off.
        """
        request = self.by_number.get(number)
        if request is not None and _owns(request, ip, peer_id):
            self.close(request)
            return request
        request = self._abandoned.get(number)
        if request is not None and succeeded and _owns(request, ip, peer_id):
            del self._abandoned[number]
            return request
        return None

    def is_foreign(self, number: int, ip: str, peer_id: bytes) -> bool:
        """Return whether that request is open and another peer's."""
        request = self.by_number.get(number)
        return request is not None and not _owns(request, ip, peer_id)

    def abandon_all(
        self, ip: str, peer_id: bytes, info_hash: bytes | None = None, *, file: str | None = None
    ) -> list[OpenRequest]:
        """Abandon and return a peer's open requests, of one info-hash or file if given."""
        requester = self.requesters.get((ip, peer_id))
        if requester is None:
            return []
        requests = [
            request
            for request in requester.requests()
            if (info_hash is None or request.info_hash == info_hash) and (file is None or request.file == file)
        ]
        for request in requests:
            self.abandon(request)
        return requests

    def abandon(self, request: OpenRequest) -> None:
        """End an open request without an outcome."""
        self.close(request)
        self._abandoned[request.number] = request
        if len(self._abandoned) > self.limits.closed_requests:
            self._abandoned.popitem(last=False)

    def close(self, request: OpenRequest) -> None:
        """Remove an open request, whose outcome is known."""
        requester, ip = request.requester, request.ip
        if request.transactions is not None:
            for transaction_id in request.transactions:
                self._closed_transactions[request.number, transaction_id] = ip
            while len(self._closed_transactions) > self.limits.answers:
                self._closed_transactions.popitem(last=False)
        del self.by_number[request.number]
        waiting = self._count_by_ip[ip] - 1
        if waiting:
            self._count_by_ip[ip] = waiting
        else:
            del self._count_by_ip[ip]
        if requester.others:
            requester.remove(request)
        else:
            requester.first = None
            del self.requesters[ip, request.peer_id]
            self._stale += 1
            if self._stale > len(self.requesters) + _SLACK:
                self._expiry_queue = [entry for entry in self._expiry_queue if entry[2].first is not None]
                heapq.heapify(self._expiry_queue)
                self._stale = 0

    def expire(self, now: float) -> Iterator[OpenRequest]:
        """Abandon and yield the requests of requesters whose time-out has passed."""
        while self.next_deadline <= now:
            _, _, requester = heapq.heappop(self._expiry_queue)
            deadline = requester.last_seen + self.timeout
            if requester.first is None:
                self._stale -= 1
            elif deadline > now:
                heapq.heappush(self._expiry_queue, (deadline, next(self._serial), requester))
            else:
                # Its entry is gone already, and close() counts it as stale.
                self._stale -= 1
                yield from self.abandon_all(requester.first.ip, requester.first.peer_id)

    def _requester(self, ip: str, peer_id: bytes, now: float) -> Requester:
        key = ip, peer_id
        requester = self.requesters.get(key)
        if requester is None:
            requester = self.requesters[key] = Requester(now)
        else:
            requester.last_seen = now
        return requester

    def _add(self, request: OpenRequest) -> None:
        requester, ip = request.requester, request.ip
        if requester.first is None:
            requester.first = request
            heapq.heappush(self._expiry_queue, (requester.last_seen + self.timeout, next(self._serial), requester))
        else:
            requester.add(request)
        self.by_number[request.number] = request
        self._count_by_ip[ip] = self._count_by_ip.get(ip, 0) + 1


def _owns(request: OpenRequest, ip: str, peer_id: bytes) -> bool:
    return request.peer_id == peer_id and request.ip == ip
