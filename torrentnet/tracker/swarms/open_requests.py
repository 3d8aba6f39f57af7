"""The requests that wait for their outcome, and the expiry of their peers.

A request is opened by a look-up and closed by an outcome. Until it is closed, its row in the request log may change.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.tracker.refusals import RefusalError, RefusalReason
from torrentnet.tracker.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.tracker.swarms.swarm import Swarm

MAX_REQUEST_NUMBER: Final = 0xFFFFFFFF
"""Requests are numbered from 1 in 32 bits (docs/protocol.md)."""

_MAX_REPEATS: Final = 8
"""Look-ups of a closed request whose late repeats are still recognized."""
_SLACK: Final = 64
_SHARES: Final = 4
"""One address may have as many open requests as a fourth of those that may still be opened."""
_FEW_REQUESTS: Final = 16
"""Open requests that an address may have however many others have."""


class Requester:
    """A peer with open requests, which expire together; nearly always one request."""

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
        """Add a request when the peer has a first request already."""
        if self.others is None:
            self.others = {request.number: request}
        else:
            self.others[request.number] = request

    def remove(self, request: OpenRequest) -> None:
        """Remove a request; the oldest other request becomes the first."""
        if self.first is not request:
            assert self.others is not None
            del self.others[request.number]
        else:
            self.first = self.others.pop(next(iter(self.others))) if self.others else None


class LastAnswer(NamedTuple):
    """The last answer to a look-up of a request, valid for one version of the swarm."""

    ip: int
    """Address of the requester as a number."""
    swarm: Swarm
    version: object
    """Version of the swarm when it was answered."""
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
    """Fields ``peer`` and ``file`` of event lines; empty if not formatted yet."""
    restored: bool = False
    """Whether an earlier process of the tracker opened it, and no look-up has followed."""
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
    """Open requests, and the last abandoned requests.

    A request is *abandoned* when it ends without an outcome from its requester. A requester and its requests expire
    after ``timeout`` seconds of silence.
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
        # A heap. A datagram from a requester does not move its entry; the entry is corrected when its time has come.
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
        free = self.limits.open_requests - len(self.by_number)
        if free <= 0:
            raise RefusalError(
                RefusalReason.LIMIT, f"the tracker is full: {len(self.by_number)} requests wait for their outcome"
            )
        waiting = self._count_by_ip.get(ip, 0)
        # The share of an address shrinks with what is left: a few addresses together never take all.
        if waiting >= self.limits.open_requests_per_ip or waiting >= max(_FEW_REQUESTS, free // _SHARES):
            raise RefusalError(
                RefusalReason.LIMIT, f"the tracker is full: {waiting} requests from {ip} wait for their outcome"
            )
        number = self._next_number
        self._next_number = number % MAX_REQUEST_NUMBER + 1
        # The same as _requester() and _add(), without the calls, because every new look-up runs this.
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
        """Add a request that an earlier process left open; its time-out begins ``now``."""
        request.requester, request.restored = self._requester(request.ip, request.peer_id, now), True
        self._add(request)

    def find_own(self, number: int, ip: str, peer_id: bytes, file: str) -> OpenRequest | None:
        """Return the open request with a number if requester and file match."""
        request = self.by_number.get(number)
        if request is None or not _owns(request, ip, peer_id) or request.file != file:
            return None
        request.restored = False
        return request

    def is_late_repeat(self, number: int, transaction_id: int, ip: str) -> bool:
        """Return whether a look-up is a late repeat that belongs to a closed request."""
        return self._closed_transactions.get((number, transaction_id)) == ip

    def resume(self, number: int, ip: str, peer_id: bytes, file: str, now: float) -> tuple[OpenRequest, bool] | None:
        """Return the request that a look-up resumes, and whether it was abandoned.

        Return None when no such request waits or was abandoned. Number 0 finds a request that an earlier process of the
        tracker opened, because the answer with the number may have been lost together with that process.
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
        limits, count = self.limits, self._count_by_ip.get(ip, 0)
        free = limits.open_requests - len(self.by_number)
        if free <= 0 or count >= limits.open_requests_per_ip or count >= max(_FEW_REQUESTS, free // _SHARES):
            return None
        del self._abandoned[number]
        request.requester, request.last_answer, request.transactions = self._requester(ip, peer_id, now), None, None
        self._add(request)
        return request, True

    def close_by_outcome(self, number: int, ip: str, peer_id: bytes, *, succeeded: bool) -> OpenRequest | None:
        """Close and return the request of a reported outcome, if there is one.

        A success also closes an abandoned request: its requester was only cut off for some time.
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
        """Return whether a request is open and belongs to another peer."""
        request = self.by_number.get(number)
        return request is not None and not _owns(request, ip, peer_id)

    def abandon_all(
        self, ip: str, peer_id: bytes, info_hash: bytes | None = None, *, file: str | None = None
    ) -> list[OpenRequest]:
        """Abandon and return a peer's open requests, all or of one info-hash or file."""
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
        """End an open request whose outcome is not known."""
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
                # close() counts the requester's entry as stale, but the entry has been popped already.
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
