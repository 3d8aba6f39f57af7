"""The ``swarm`` strategy in a crowd, in virtual time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.peer.strategies.crowd import Crowd, asked
from tests.unit.peer.streams import PIECE
from torrentnet.peer.strategies.base import Phase
from torrentnet.peer.strategies.task import Timeouts
from torrentnet.wire.peer.extension_protocol import (
    HANDSHAKE_ID,
    METADATA_ID,
    OFFER_ID,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
)
from torrentnet.wire.peer.messages import (
    Bitfield,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    Message,
    NotInterested,
    Reject,
    Request,
    Unchoke,
    pack,
    pack_block_head,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.peer.transfer.connection import Connection


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(tmp_path)
    yield made
    made.close()


def test_leechers_get_most_pieces_from_each_other(crowd: Crowd) -> None:
    seed = crowd.seeder(rate=200_000)
    leechers = [crowd.leecher(f"leecher-{n}", rate=200_000) for n in range(5)]
    crowd.until_ended(*leechers)
    assert all(peer.is_complete for peer in leechers)
    # Five copies were needed; the seed sent few.
    assert seed.uploaded < 2.5 * len(crowd.data)
    for peer in leechers:
        assert peer.uploaded > len(crowd.data) / 10
        assert sum(peer.pieces_by_source().values()) == crowd.pieces
        assert len(peer.pieces_by_source()) > 1


def test_one_seed_and_one_leecher(crowd: Crowd) -> None:
    crowd.seeder(rate=None)
    leecher = crowd.leecher("leecher")
    crowd.until_ended(leecher)
    assert leecher.is_complete
    assert leecher.pieces_by_source() == {"seeder": crowd.pieces}
    # The tracker knows the leecher as a seed, and the request's outcome.
    crowd.run(1.0)
    (outcome,) = crowd.tracker.named("outcome")
    assert (outcome.fields["result"], outcome.fields["peer"]) == ("succeeded", "leecher")


def test_latecomers_are_served_by_earlier_leechers(crowd: Crowd) -> None:
    seed = crowd.seeder(rate=200_000)
    first = crowd.leecher("first", rate=200_000)
    crowd.run(3.0)
    second = crowd.leecher("second", rate=200_000)
    crowd.until_ended(first, second)
    assert first.is_complete
    assert second.is_complete
    assert second.pieces_by_source()["first"] > 5
    assert seed.uploaded < 2 * len(crowd.data)


def test_complete_peers_go_on_serving(crowd: Crowd) -> None:
    seed = crowd.seeder()
    first = crowd.leecher("first")
    crowd.until_ended(first)
    seed.die()
    second = crowd.leecher("second")
    crowd.until_ended(second)
    assert second.is_complete
    assert second.pieces_by_source() == {"first": crowd.pieces}


def test_a_seed_may_die_once_every_piece_is_out(crowd: Crowd) -> None:
    seed = crowd.seeder(rate=200_000)
    leechers = [crowd.leecher(f"leecher-{n}", rate=100_000) for n in range(4)]

    def a_copy_is_out() -> bool:
        held = [peer.store.held for peer in leechers if peer.store is not None]
        return all(any(piece in one for one in held) for piece in range(crowd.pieces))

    assert crowd.run(60.0, a_copy_is_out)
    assert not any(peer.ended for peer in leechers)
    seed.die()
    crowd.until_ended(*leechers)
    assert all(peer.is_complete for peer in leechers)
    assert any(event["reason"] for peer in leechers for event in peer.fields_of("source_lost"))


def test_a_seed_that_dies_too_early_is_reported(crowd: Crowd) -> None:
    seed = crowd.seeder(rate=100_000)
    leechers = [crowd.leecher(f"leecher-{n}", patience=Timeouts(give_up=20.0)) for n in range(2)]
    crowd.run(3.0)
    seed.die()
    crowd.until_ended(*leechers)
    for peer in leechers:
        assert peer.phase is Phase.FAILED
        assert peer.swarm is not None
        assert peer.swarm.failure.endswith("gave up after 20 s without a new piece")
        assert peer.swarm.failure.startswith("seeder: ")
        # The verified pieces stay for the next run.
        assert peer.path.with_name("myfile.txt.part").exists()


def test_a_swarm_without_peers_fails(crowd: Crowd) -> None:
    leecher = crowd.leecher("leecher", patience=Timeouts(give_up=20.0))
    begun = crowd.simulation.now
    crowd.until_ended(leecher)
    assert leecher.swarm is not None
    assert leecher.swarm.failure == (
        "the tracker knows no file named 'myfile.txt'; gave up after 20 s without a new piece"
    )
    assert crowd.simulation.now - begun == pytest.approx(20.0, abs=6.0)


def test_a_swarm_of_dead_peers_fails(crowd: Crowd) -> None:
    seed = crowd.seeder()
    seed.die()
    leecher = crowd.leecher("leecher", patience=Timeouts(give_up=20.0))
    crowd.until_ended(leecher)
    assert leecher.swarm is not None
    assert leecher.swarm.failure == "seeder: connection refused; gave up after 20 s without a new piece"
    # The dead peer was tried again, less and less often.
    assert 3 <= len(leecher.dialled) <= 8


def test_a_seed_that_joins_late_is_found(crowd: Crowd) -> None:
    leecher = crowd.leecher("leecher")
    crowd.run(10.0)
    crowd.seeder()
    crowd.until_ended(leecher)
    assert leecher.is_complete


# -- bad pieces ------------------------------------------------------------------------------------


def test_the_sender_of_a_bad_piece_is_banned_by_name(crowd: Crowd) -> None:
    bad = crowd.seeder("bad", rate=300_000, corrupt=(3, 17, 30))
    crowd.seeder("good", rate=300_000)
    leechers = [crowd.leecher(f"leecher-{n}", rate=300_000) for n in range(3)]
    crowd.until_ended(*leechers)
    assert all(peer.is_complete for peer in leechers)
    blamed = [event for peer in leechers for event in peer.fields_of("bad_piece")]
    assert blamed
    assert {event["peer"] for event in blamed} == {"bad"}
    for peer in leechers:
        # Once each: nothing is requested from it again.
        assert len(peer.fields_of("bad_piece")) <= 1
        for event in peer.fields_of("bad_piece"):
            assert not [end for end in bad.ends if end.open and end.other.owner is peer]
            entries = [entry for entry in peer.log.entries() if entry.source == "bad"]
            assert any(entry.verdict == "thrown away: wrong hash" for entry in entries)
            assert event["piece"] in (3, 17, 30)


def test_a_bad_seed_alone_fails_the_download(crowd: Crowd) -> None:
    crowd.seeder("bad", corrupt=tuple(range(40)))
    leechers = [crowd.leecher(f"leecher-{n}", patience=Timeouts(give_up=20.0)) for n in range(2)]
    crowd.until_ended(*leechers)
    for peer in leechers:
        assert peer.phase is Phase.FAILED
        assert peer.swarm is not None
        assert peer.swarm.failure.startswith("bad: sent piece ")
        assert len(peer.fields_of("bad_piece")) == 1
        # No peer keeps, announces or shares an unverified piece.
        assert peer.store is not None
        assert not len(peer.store.held)
        assert peer.dialled.count(crowd.peers[0].endpoint) == 1


def test_a_bad_last_piece_is_fetched_from_another_peer(crowd: Crowd) -> None:
    """The other peer's credit is still used when a piece is bad.

    In the endgame two peers are asked for one piece. The piece of the faster peer is the bad one.
    """
    crowd.seeder("bad", rate=2e6, corrupt=tuple(range(40)))
    crowd.seeder("good", rate=30_000)
    leecher = crowd.leecher("leecher")
    crowd.until_ended(leecher)
    assert leecher.is_complete
    assert leecher.pieces_by_source() == {"good": crowd.pieces}


# -- connections -----------------------------------------------------------------------------------


def test_peers_that_dial_each_other_keep_one_connection(crowd: Crowd) -> None:
    crowd.seeder(rate=50_000)
    one, two = crowd.leecher("one", rate=50_000), crowd.leecher("two", rate=50_000)
    crowd.run(15.0)
    assert not one.ended
    between = [end for end in one.ends if end.other.owner is two]
    assert len(between) == 1
    assert [end for end in two.ends if end.other.owner is one] == [between[0].other]
    # No further connection is opened.
    dialled = len(one.dialled) + len(two.dialled)
    connections = crowd.connections
    crowd.run(10.0)
    assert len(one.dialled) + len(two.dialled) == dialled
    assert crowd.connections == connections
    assert not one.ended


@pytest.mark.parametrize("seed", range(6))
def test_a_flash_crowd_keeps_one_connection_a_pair(tmp_path: Path, seed: int) -> None:
    crowd = Crowd(tmp_path, seed=seed)
    crowd.seeder(rate=50_000)
    leechers = [crowd.leecher(f"leecher-{n}", rate=50_000) for n in range(6)]
    crowd.run(15.0)
    assert not any(peer.ended for peer in leechers)
    for peer in crowd.peers:
        others = [end.other.owner.identity.name for end in peer.ends]
        assert len(others) == len(set(others)) == 6
    crowd.close()


# -- an earlier run --------------------------------------------------------------------------------


def test_pieces_of_an_earlier_run_are_kept_and_shared(crowd: Crowd) -> None:
    seed = crowd.seeder(rate=100_000)
    one = crowd.leecher("one", has=tuple(range(20)))
    two = crowd.leecher("two", has=tuple(range(20, 40)))
    crowd.until_ended(one, two)
    assert one.is_complete
    assert two.is_complete
    assert one.fields_of("resumed") == [{"file": "myfile.txt", "have": 20, "pieces": 40}]
    assert sum(one.pieces_by_source().values()) == 20
    # Together they had every piece: they did not wait for the seed's slow uplink.
    assert one.pieces_by_source()["two"] + two.pieces_by_source()["one"] > 25
    assert seed.uploaded < len(crowd.data) / 2


def test_two_halves_are_enough_once_the_seed_has_gone(crowd: Crowd) -> None:
    """Each leecher learns of the other's half after they have connected.

    The connection of the leechers is older than their pieces.
    """
    seed = crowd.seeder(rate=20_000)
    one = crowd.leecher("one", has=tuple(range(20)))
    two = crowd.leecher("two", has=tuple(range(20, 40)))
    assert crowd.run(10.0, lambda: one.store is not None and two.store is not None)
    seed.die()
    crowd.until_ended(one, two)
    assert one.is_complete
    assert two.is_complete


# -- slow and refusing peers -----------------------------------------------------------------------


def test_a_slow_peers_last_piece_is_fetched_from_another(crowd: Crowd) -> None:
    crawler = crowd.seeder("crawler", rate=2_000)
    quick = crowd.seeder("quick", rate=300_000)
    leecher = crowd.leecher("leecher")
    begun = crowd.simulation.now
    crowd.until_ended(leecher)
    assert leecher.is_complete
    assert crowd.simulation.now - begun < 2.0 * len(crowd.data) / 300_000
    assert leecher.pieces_by_source()["quick"] >= crowd.pieces - 1
    assert crawler.uploaded < 2 * PIECE + 10_000
    assert quick.uploaded > (crowd.pieces - 2) * PIECE


def test_a_silent_peers_pieces_are_requested_elsewhere(crowd: Crowd) -> None:
    silent = crowd.seeder("silent", rate=200_000)
    crowd.seeder("good", rate=200_000)
    leecher = crowd.leecher("leecher", patience=Timeouts(stall=3.0))
    crowd.run(1.5)
    silent.mute = True
    crowd.until_ended(leecher)
    assert leecher.is_complete
    assert leecher.pieces_by_source()["silent"] > 0


def test_a_swarm_of_silent_peers_fails_with_the_reason(crowd: Crowd) -> None:
    silent = crowd.seeder("silent", rate=200_000)
    leecher = crowd.leecher("leecher", patience=Timeouts(stall=3.0, give_up=10.0))
    crowd.run(1.5)
    silent.mute = True
    crowd.until_ended(leecher)
    assert leecher.swarm is not None
    assert "gave up after 10 s without a new piece" in leecher.swarm.failure
    assert leecher.swarm.failure.startswith("silent: ")


def test_another_client_is_requested_from_and_served(crowd: Crowd) -> None:
    crowd.seeder("foreign", rate=200_000, foreign=True)
    leechers = [crowd.leecher(f"leecher-{n}", rate=200_000) for n in range(3)]
    crowd.until_ended(*leechers)
    assert all(peer.is_complete for peer in leechers)
    assert all(peer.pieces_by_source()["foreign"] < crowd.pieces for peer in leechers)


def test_a_choking_clients_pieces_are_requested_elsewhere(crowd: Crowd) -> None:
    foreign = crowd.seeder("foreign", rate=100_000, foreign=True)
    crowd.seeder("good", rate=100_000)
    leecher = crowd.leecher("leecher")
    crowd.run(3.0)
    assert asked(foreign)
    foreign.choke()
    # The choke comes behind the blocks that were on their way.
    assert crowd.run(20.0, lambda: bool(leecher.received_messages(Choke)))
    crowd.run(0.1)
    before = len(asked(foreign))
    (end,) = foreign.ends
    assert leecher.swarm is not None
    assert leecher.swarm._peers[cast("Connection", end.other)].fetcher.pieces == []
    crowd.until_ended(leecher)
    assert leecher.is_complete
    # Nothing was requested from it any more, and its connection stayed open.
    assert len(asked(foreign)) == before
    assert "source_lost" not in {event.name for event in leecher.event_lines}


def test_a_dead_clients_pieces_are_requested_elsewhere(crowd: Crowd) -> None:
    foreign = crowd.seeder("foreign", rate=400_000, foreign=True)
    crowd.seeder("good", rate=50_000)
    leecher = crowd.leecher("leecher")
    crowd.run(1.0)
    foreign.die()
    died = crowd.simulation.now
    assert leecher.store is not None
    left = crowd.pieces - len(leecher.store.held)
    crowd.until_ended(leecher)
    assert leecher.is_complete
    assert crowd.simulation.now - died < 1.3 * left * PIECE / 50_000


# -- peers that lie --------------------------------------------------------------------------------


def test_a_refused_info_dictionary_comes_from_another_peer(crowd: Crowd) -> None:
    crowd.seeder("stingy", stingy=True)
    crowd.seeder("good")
    leechers = [crowd.leecher(f"leecher-{n}") for n in range(3)]
    crowd.until_ended(*leechers)
    assert all(peer.is_complete for peer in leechers)


def test_a_peer_cannot_fill_the_pool_with_ports(crowd: Crowd) -> None:
    crowd.seeder(rate=20_000)
    leecher, liar = crowd.leecher("leecher"), crowd.leecher("liar")
    crowd.run(2.0)
    (end,) = (one for one in liar.ends if one.other.owner is leecher)
    for port in range(1, 500):
        said = ExtensionHandshake(METADATA_ID, 0, port=port)
        end.protocol.send(Extended(HANDSHAKE_ID, pack_extension_handshake(said)))
    liar.poll()
    crowd.run(2.0)
    assert leecher.swarm is not None
    assert len(leecher.swarm._pool._known) <= 5


def lie(rng: random.Random) -> bytes:
    """Messages of any kind that fit the framing."""
    piece, begin = rng.choice([0, 5, 39, 40, 2**32 - 1]), rng.choice([0, 16_384, 100, 2**32 - 1])
    length = rng.choice([0, 1, 100, 16_384, PIECE, 2**32 - 1])
    if rng.random() < 0.1:
        data = bytes(rng.choice([1, 100, 16_384]))
        return pack_block_head(rng.randrange(40), rng.choice([0, 16_384]), len(data)) + data
    able = ExtensionHandshake(
        rng.choice([0, 1, 9]),
        rng.choice([0, 1, 858, 20_000]),
        offer_id=rng.choice([0, 2, 5]),
        makes_offers=rng.random() < 0.5,
        port=rng.choice([0, 1, 6881]),
    )
    data = rng.randbytes(rng.choice([0, 858]))
    metadata = Metadata(rng.choice(list(MetadataKind)), rng.choice([0, 1, 77]), 858, data)
    messages: list[Message] = [
        Choke(),
        Unchoke(),
        Unchoke(),
        Interested(),
        NotInterested(),
        Have(piece),
        HaveAll(),
        HaveNone(),
        Bitfield(rng.randbytes(rng.choice([0, 5, 5, 5, 6]))),
        Request(piece, begin, length),
        Cancel(piece, begin, length),
        Reject(piece, begin, length),
        Extended(HANDSHAKE_ID, pack_extension_handshake(able)),
        Extended(HANDSHAKE_ID, rng.randbytes(10)),
        Extended(METADATA_ID, pack_metadata(metadata)),
        Extended(OFFER_ID, b""),
        Extended(OFFER_ID, b""),
        Extended(77, b"?"),
    ]
    return pack(rng.choice(messages))


@pytest.mark.parametrize("seed", range(25))
def test_no_message_of_a_peer_does_harm(tmp_path: Path, seed: int) -> None:
    """The other peers get the file although a liar takes part.

    The liar serves pieces, and sends any message at any time.
    """
    crowd = Crowd(tmp_path, seed=seed)
    rng = random.Random(seed)
    crowd.seeder("good", rate=100_000)
    liars = [crowd.seeder("liar", rate=200_000, foreign=bool(seed % 2)), crowd.leecher("false", rate=200_000)]
    leechers = [crowd.leecher(f"leecher-{n}", rate=100_000) for n in range(2)]
    for _ in range(300):
        crowd.run(rng.choice([0.0, 0.001, 0.02, 0.1]))
        for liar in liars:
            for end in list(liar.ends):
                if end.protocol.remote_handshake is not None and rng.random() < 0.3:
                    end.protocol._queue(lie(rng))
            liar.poll()
    for liar in liars:
        liar.die()
    crowd.until_ended(*leechers)
    assert all(peer.is_complete for peer in leechers)
    crowd.close()


# -- chance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_survivors_that_hold_every_piece_finish(tmp_path: Path, seed: int) -> None:
    """Peers join, die and lose datagrams at random.

    The last seed dies only once the other peers together hold every piece.
    """
    crowd = Crowd(tmp_path, pieces=30, seed=seed)
    rng = random.Random(seed)
    crowd.trouble.loss = 0.05
    seeds = [crowd.seeder(f"seed-{n}", rate=rng.uniform(5e4, 3e5)) for n in range(2)]
    leechers = [crowd.leecher(f"leecher-{n}", rate=rng.uniform(3e4, 3e5)) for n in range(6)]

    def copies_without(*dead: object) -> bool:
        alive = [p for p in crowd.peers if p.alive and p not in dead and p.store is not None]
        return all(any(piece in p.store.held for p in alive if p.store) for piece in range(crowd.pieces))

    victims = [*rng.sample(leechers, 2), *seeds]
    for victim in victims:
        crowd.run(rng.uniform(0.2, 3.0))
        crowd.run(120.0, lambda victim=victim: copies_without(victim))  # type: ignore[misc]  # mypy: default argument
        victim.die()
    survivors = [peer for peer in leechers if peer.alive]
    assert len(survivors) == 4
    crowd.until_ended(*survivors)
    assert all(peer.is_complete for peer in survivors)
    crowd.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_seed_sends_less_with_more_leechers(tmp_path: Path, seed: int) -> None:
    sent: list[float] = []
    for count in (1, 4, 8):
        place = tmp_path / str(count)
        place.mkdir()
        crowd = Crowd(place, seed=seed)
        source = crowd.seeder(rate=150_000)
        leechers = [crowd.leecher(f"leecher-{n}", rate=150_000) for n in range(count)]
        crowd.until_ended(*leechers)
        assert all(peer.is_complete for peer in leechers)
        sent.append(source.uploaded / len(crowd.data) / count)
        crowd.close()
    assert sent[0] > 0.99
    assert sent[1] < 0.7
    assert sent[2] < 0.45
