"""The bytes of all connections with a peer are one sum, and none counts twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torrentnet.adapters.observer.network.known_nodes import KnownNodes
from torrentnet.adapters.observer.network.pairs import PAIR_INTERVAL, PairBytes, PairCounter
from torrentnet.adapters.observer.network.sock_diag import TcpConnection
from torrentnet.wire.endpoint import Endpoint

OWN, PEER = "198.18.0.2", "198.18.0.3"
NODES = KnownNodes("a", [("a", Endpoint(OWN, 6881)), ("b", Endpoint(PEER, 6882))], OWN)


def connection(cookie: int, received: int = 0, sent: int = 0, *, state: int = 1, user: int = 1) -> TcpConnection:
    return TcpConnection(cookie, Endpoint(OWN, 6881), Endpoint(PEER, 40_000 + cookie), received, sent, state, user, 1)


def counter(fin: bool | None = False) -> PairCounter:
    return PairCounter(NODES, lambda one: one.user == 1, lambda *_: fin)


def test_open_and_ended_connections_add_up() -> None:
    pairs = counter()
    pairs.update([connection(1, 10, 1), connection(2, 20, 2)], [])
    pairs.update([connection(1, 15, 1)], [connection(2, 25, 3), connection(3, 100, 0)])
    assert pairs.totals() == {PEER: PairBytes(140, 4)}
    pairs.update([connection(1, 16, 1)], [])
    assert pairs.totals() == {PEER: PairBytes(141, 4)}


def test_without_a_dump_open_connections_stay_as_they_were() -> None:
    pairs = counter()
    assert not pairs.any_open
    pairs.update([connection(1, 10), connection(2, 20)], [])
    assert pairs.any_open
    pairs.update(None, [connection(2, 25), connection(3, 1)])
    assert pairs.totals() == {PEER: PairBytes(36, 0)}
    assert pairs.any_open


def test_a_connection_that_ends_during_the_dump_counts_once() -> None:
    pairs = counter()
    pairs.update([connection(1, 10)], [connection(1, 12)])
    pairs.update([connection(1, 10)], [connection(1, 12)])
    assert pairs.totals() == {PEER: PairBytes(12, 0)}


def test_the_end_of_which_nothing_was_heard_counts_as_last_seen() -> None:
    pairs = counter()
    pairs.update([connection(1, 10)], [])
    pairs.update([], [])
    pairs.update([], [connection(1, 12)])
    assert pairs.totals() == {PEER: PairBytes(10, 0)}


def test_connections_of_others_do_not_count() -> None:
    pairs = counter()
    pairs.update([connection(1, 10, user=2)], [connection(2, 10, user=2)])
    # Once it was the program's, it stays so: a closed socket has no owner.
    pairs.update([connection(3, 5)], [])
    pairs.update([connection(3, 6, user=0)], [])
    pairs.update([], [connection(3, 7, user=0)])
    assert pairs.totals() == {PEER: PairBytes(7, 0)}


@pytest.mark.parametrize(("fin", "state", "received"), [(True, 1, 9), (False, 8, 10), (None, 8, 9), (None, 1, 10)])
def test_a_fin_is_no_byte(fin: bool | None, state: int, received: int) -> None:
    pairs = counter(fin)
    pairs.update([connection(1, 10, state=state)], [])
    pairs.update([], [connection(1, 10, state=7)])
    assert pairs.totals() == {PEER: PairBytes(received, 0)}


def test_what_a_node_sends_to_itself_does_not_count() -> None:
    pairs = counter()
    pairs.update([replace(connection(1, 10), remote=Endpoint("127.0.0.1", 50_000))], [])
    assert pairs.totals() == {}


def test_a_peer_is_reported_four_times_a_second() -> None:
    pairs = counter()

    def changed(received: int, now: float, *, last: bool = False) -> list[str]:
        return pairs.changed({PEER: PairBytes(received, 0)}, now, last=last)

    assert changed(0, 1.0) == []
    assert changed(1, 1.0) == [PEER]
    assert changed(2, 1.1) == []
    assert changed(2, 1.0 + PAIR_INTERVAL) == [PEER]
    assert changed(3, 1.3, last=True) == [PEER]
    assert changed(3, 9.0) == []
