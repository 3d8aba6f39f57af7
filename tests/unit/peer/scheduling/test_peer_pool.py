"""The known peers: names, addresses, and when to connect."""

from __future__ import annotations

import pytest

from torrentnet.peer.scheduling.peer_pool import FIRST_RETRY, MAX_KNOWN, MAX_RETRY, PeerPool
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake
from torrentnet.wire.udp.lookup import LookupHolder

OWN = Endpoint("198.18.0.9", 6881)
ONE, TWO = Endpoint("198.18.0.10", 6881), Endpoint("198.18.0.11", 6881)


@pytest.fixture
def known() -> PeerPool:
    made = PeerPool(OWN)
    made.add([ONE, TWO, OWN, ONE])
    return made


def test_each_address_is_dialled_once_and_the_own_never(known: PeerPool) -> None:
    assert list(known.take(9, 0.0)) == [ONE, TWO]
    assert list(known.take(9, 100.0)) == []
    known.add([ONE, TWO])
    assert list(known.take(9, 100.0)) == []


def test_no_more_addresses_than_asked_for(known: PeerPool) -> None:
    assert list(known.take(0, 0.0)) == []
    assert list(known.take(-3, 0.0)) == []
    assert list(known.take(1, 0.0)) == [ONE]
    assert list(known.take(1, 0.0)) == [TWO]


def test_retries_come_at_growing_pauses(known: PeerPool) -> None:
    now, pauses = 0.0, []
    for _ in range(8):
        assert ONE in list(known.take(9, now))
        known.disconnected(ONE, now)
        due = known._known[ONE].retry_at
        pauses.append(due - now)
        assert ONE not in list(known.take(9, due - 0.01))
        now = due
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert (pauses[0], pauses[-1]) == (FIRST_RETRY, MAX_RETRY)


def test_a_useful_peer_is_retried_soon(known: PeerPool) -> None:
    for _ in range(5):
        known.disconnected(ONE, 0.0)
    known.reset_pause(ONE)
    known.disconnected(ONE, 100.0)
    assert ONE in list(known.take(9, 100.0 + FIRST_RETRY))


def test_a_peer_that_connected_to_us_is_not_dialled(known: PeerPool) -> None:
    known.connected(ONE)
    stranger = Endpoint("198.18.0.12", 6881)
    known.connected(stranger)
    known.add([stranger])
    assert list(known.take(9, 0.0)) == [TWO]
    # After it has disconnected, its address is known.
    known.disconnected(stranger, 0.0)
    assert list(known.take(9, FIRST_RETRY)) == [stranger]


def test_an_excluded_address_is_never_dialled(known: PeerPool) -> None:
    known.exclude(ONE)
    known.add([ONE])
    known.disconnected(ONE, 0.0)
    known.reset_pause(ONE)
    assert list(known.take(9, 1_000.0)) == [TWO]
    known.disconnected(TWO, 1_000.0)
    assert list(known.take(9, 1_000.0 + FIRST_RETRY)) == [TWO]


def test_unknown_addresses_do_no_harm(known: PeerPool) -> None:
    known.disconnected(Endpoint("1.2.3.4", 5), 0.0)
    known.reset_pause(Endpoint("1.2.3.4", 5))
    assert list(known.take(9, 0.0)) == [ONE, TWO]


def test_the_pool_is_bounded(known: PeerPool) -> None:
    many = [Endpoint(f"10.0.{n // 250}.{n % 250}", 1) for n in range(2 * MAX_KNOWN)]
    known.add(many)
    for endpoint in many:
        known.connected(endpoint)
        known.exclude(Endpoint(endpoint.ip, 2))
        known.disconnected(endpoint, 0.0)
    assert len(known._known) == MAX_KNOWN
    assert len(list(known.take(10 * MAX_KNOWN, 1e9))) == MAX_KNOWN - 1


def test_a_dialled_peer_listens_where_it_was_dialled() -> None:
    known = PeerPool(OWN)
    assert known.name(ONE) == "198.18.0.10:6881"
    known.add_holders([LookupHolder(ONE, "seeder-1")])
    assert known.name(ONE) == "seeder-1"
    assert list(known.take(9, 0.0)) == [ONE]
    assert known.identify(ONE, None, outgoing=True) == LookupHolder(ONE, "seeder-1")
    extension = ExtensionHandshake(name="another", port=1)
    assert known.identify(ONE, extension, outgoing=True) == LookupHolder(ONE, "seeder-1")
    assert known.identify(TWO, None, outgoing=True) == LookupHolder(TWO, "198.18.0.11:6881")


def test_an_incoming_peer_listens_on_the_port_it_sends() -> None:
    known = PeerPool(OWN)
    known.add_holders([LookupHolder(ONE, "seeder-1")])
    incoming = Endpoint(ONE.ip, 40_001)
    assert known.identify(incoming, None, outgoing=False) == LookupHolder(Endpoint(ONE.ip, 40_001), f"{ONE.ip}:40001")
    extension = ExtensionHandshake(name="leecher-1", port=7000)
    assert known.identify(incoming, extension, outgoing=False) == LookupHolder(Endpoint(ONE.ip, 7000), "leecher-1")
    # The tracker's name for a peer comes before the peer's own.
    extension = ExtensionHandshake(name="leecher-1", port=ONE.port)
    assert known.identify(incoming, extension, outgoing=False) == LookupHolder(ONE, "seeder-1")


def test_a_banned_peer_is_banned_under_any_address(known: PeerPool) -> None:
    known.ban(ONE, b"p" * 20)
    known.ban(TWO, b"r" * 20)
    assert list(known.take(9, 1_000.0)) == []
    assert known.is_banned(b"p" * 20)
    assert not known.is_banned(b"q" * 20)
