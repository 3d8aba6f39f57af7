"""A look-up's pages: when the next one is requested, and which peers are found."""

from __future__ import annotations

from torrentnet.peer.tracker_client.lookup import MAX_PAGES, LookupResult, PagedLookup, lookup_from_announce
from torrentnet.peer.tracker_client.membership import AnnounceIdentity, Membership
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp.lookup import LookupHolder, LookupReply, parse_lookup
from torrentnet.wire.udp.packets import AnnounceReply

HASH = b"H" * 20
IDENTITY = AnnounceIdentity("peer-1", b"-NL0100-abcdefghijkl", 6881, 1)


def holder(number: int) -> LookupHolder:
    return LookupHolder(Endpoint(f"198.18.{number // 200}.{number % 200 + 1}", 6881), f"seeder-{number}")


def page(first: int, *numbers: int, complete: int) -> LookupReply:
    found = tuple(map(holder, numbers))
    return LookupReply(9, complete > 0, 7, 500, 2_000, HASH, 1 << 20, 1 << 18, complete, 0, first, found)


def test_the_next_page_continues_the_same_request() -> None:
    lookup = PagedLookup(IDENTITY, "myfile.txt", 0)
    sent = parse_lookup(lookup.pack(1, 2))
    assert (sent.connection_id, sent.transaction_id, sent.first, sent.request) == (1, 2, 0, 0)
    assert (sent.name, sent.peer, sent.peer_id, sent.port) == ("myfile.txt", "peer-1", IDENTITY.peer_id, 6881)
    assert lookup.receive_page(page(0, 0, 1, complete=3)) is None
    sent = parse_lookup(lookup.pack(1, 3))
    assert (sent.first, sent.request) == (2, 7)
    last = page(2, 2, complete=3)
    assert lookup.receive_page(last) == LookupResult(last, (holder(0), holder(1), holder(2)))


def test_a_repeated_lookup_keeps_its_request_number() -> None:
    assert parse_lookup(PagedLookup(IDENTITY, "myfile.txt", 5).pack(1, 2)).request == 5


def test_a_lookup_without_holders_is_complete() -> None:
    none = page(0, complete=0)
    assert PagedLookup(IDENTITY, "myfile.txt", 0).receive_page(none) == LookupResult(none, ())


def test_an_empty_page_ends_the_lookup() -> None:
    lookup = PagedLookup(IDENTITY, "myfile.txt", 0)
    assert lookup.receive_page(page(0, 0, complete=9)) is None
    done = lookup.receive_page(page(1, complete=9))
    assert done is not None
    assert done.holders == (holder(0),)


def test_the_number_of_pages_is_bounded() -> None:
    lookup = PagedLookup(IDENTITY, "myfile.txt", 0)
    results = [lookup.receive_page(page(number, number, complete=10_000)) for number in range(MAX_PAGES)]
    assert results[:-1] == [None] * (MAX_PAGES - 1)
    assert results[-1] is not None
    assert len(results[-1].holders) == MAX_PAGES


def test_a_holder_on_two_pages_counts_once() -> None:
    lookup = PagedLookup(IDENTITY, "myfile.txt", 0)
    assert lookup.receive_page(page(0, 0, 1, 2, complete=6)) is None
    done = lookup.receive_page(page(3, 0, 1, 2, complete=6))
    assert done is not None
    assert done.holders == (holder(0), holder(1), holder(2))


def test_an_announces_peers_are_named_by_address_without_oneself() -> None:
    own, other = Endpoint("198.18.0.9", 6881), Endpoint("198.18.0.10", 6881)
    announced = AnnounceReply(3, 1800, 5, 2, (own, other))
    done = lookup_from_announce(Membership(HASH, "myfile.txt", 0, 0), announced, own)
    assert done.holders == (LookupHolder(other, "198.18.0.10:6881"),)
    assert (done.found.found, done.found.info_hash, done.found.request) == (True, HASH, 0)
    assert (done.found.complete, done.found.incomplete) == (2, 5)
