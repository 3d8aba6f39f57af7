"""The ``single`` strategy, from the first look-up to a seed.

The tests run in a simulated world in virtual time.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.downloader import NAME
from tests.unit.peer.simulation import Trouble
from tests.unit.peer.strategies.world import Getter, Source, World
from tests.unit.peer.streams import PIECE, content, info_of
from torrentnet.peer.strategies.base import MAX_RETRY_PAUSE, Phase
from torrentnet.peer.strategies.task import Timeouts
from torrentnet.tracker.journal.records import RequestClosed, RequestOpened, RequestState
from torrentnet.wire.info import make_info
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from pathlib import Path

PIECES = 41


def outcome(world: World) -> RequestClosed:
    """Return how the only request ended."""
    (ended,) = world.tracker.of(RequestClosed)
    assert isinstance(ended, RequestClosed)
    return ended


def lost(getter: Getter) -> list[tuple[object, object]]:
    """Return the lost sources, and why they were lost."""
    return [(fields["peer"], fields["reason"]) for fields in getter.fields_of("source_lost")]


def nothing_twice(world: World, getter: Getter) -> None:
    """Check that no piece was requested again after it had been verified."""
    for source in world.sources:
        for time, request in source.asked:
            verified = getter.verified.get(request.piece)
            assert verified is None or time <= verified, f"piece {request.piece} was asked for again"


def check_complete(world: World, getter: Getter) -> None:
    """Check that the complete file is there under its final name, and nothing else."""
    assert getter.path.read_bytes() == world.data
    assert os.listdir(getter.path.parent) == [getter.path.name]
    nothing_twice(world, getter)


# -- without faults --------------------------------------------------------------------------------


def test_one_seed_sends_the_whole_file(world: World) -> None:
    seeds = [world.source() for _ in range(3)]
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    (picked,) = getter.fields_of("picked")
    assert picked["among"] == 3
    assert sorted(seed.connections for seed in seeds) == [0, 0, 1]
    (completed,) = getter.fields_of("completed")
    assert completed["bytes"] == len(world.data)
    assert completed["sources"] == f"{picked['peer']}:{PIECES}"
    ended = outcome(world)
    assert (ended.state, ended.transferred) == (RequestState.SUCCEEDED, len(world.data))
    assert ended.sources == ((picked["peer"], PIECES),)
    assert [event.fields["peer"] for event in world.tracker.named("completed")] == ["leecher"]
    swarm = world.tracker.core.registry.by_name.get(NAME)
    assert swarm is not None
    assert swarm.seeders == 4


def test_progress_is_reported_four_times_a_second_at_most(world: World) -> None:
    world.source().rate = 200_000.0
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    progress = [event for event in getter.event_lines if event.name == "progress"]
    assert len(progress) > 10
    times = [event.time for event in progress]
    assert min(later - earlier for earlier, later in itertools.pairwise(times[:-1])) >= 0.25
    assert progress[-1].fields["have"] == PIECES
    assert progress[-1].fields["bytes"] == len(world.data)
    arrived = getter.arrivals
    assert sorted(arrival.piece for arrival in arrived) == list(range(PIECES))
    assert [arrival.time for arrival in arrived] == sorted(arrival.time for arrival in arrived)
    assert {arrival.address for arrival in arrived} == {str(getter.fields_of("picked")[0]["address"])}


def test_pieces_before_a_standstill_are_reported_within_a_quarter_second(world: World) -> None:
    world.source().rate = 400_000.0
    getter = world.getter()
    while len(getter.verified) < 20:
        getter.run(0.01)
    world.sources[0].rate = 1.0
    getter.run(0.3)
    assert len(getter.arrivals) == len(getter.verified) >= 20


def test_a_stopped_peer_reports_its_last_pieces(world: World) -> None:
    world.source().rate = 2_000_000.0
    getter = world.getter()
    while len(getter.verified) < 20:
        getter.run(0.01)
    assert len(getter.arrivals) < len(getter.verified)
    getter.step(lambda it: it.abandon("the peer was stopped", getter.now))
    assert len(getter.arrivals) == len(getter.verified)


def test_the_tracker_learns_of_held_pieces(world: World) -> None:
    world.source().rate = 200_000.0
    getter = world.getter()
    seen = set()
    while not getter.ended:
        getter.run(0.5)
        holder = world.tracker.core.registry.find(getter.download.info_hash, getter.endpoint.ip, getter.endpoint.port)
        assert holder is not None
        if holder.pieces is not None:
            seen.add(len(holder.pieces))
            assert len(holder.pieces) >= len(getter.verified) - 8
    assert len(seen) >= 10


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
def test_files_of_every_edge_size(tmp_path: Path, size: int) -> None:
    world = World(tmp_path, size=size)
    world.source()
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert outcome(world).state is RequestState.SUCCEEDED
    world.sources[0].leave()
    second = world.getter("second")
    world.sources.append(Source(world, 99, getter.stores[-1], "leecher"))
    world.sources[-1].endpoint = getter.endpoint
    assert second.until_ended() is Phase.DONE
    assert second.path.read_bytes() == world.data
    world.sources.pop()
    world.close()


# -- a source is lost on the way -------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 68, 500, PIECE, 10 * PIECE, 20 * PIECE + 77, 40 * PIECE - 50])
def test_a_dead_seed_is_replaced(world: World, after: int) -> None:
    first, second = world.source(), world.source()
    first.dies_after = second.dies_after = after
    getter = world.getter()
    # The selected source dies; the other one lives.
    assert getter.run(60.0, lambda: bool(getter.fields_of("picked")))
    picked, other = (first, second) if getter.fields_of("picked")[0]["peer"] == first.name else (second, first)
    other.dies_after = None
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert lost(getter) == [(picked.name, "closed the connection")]
    assert getter.fields_of("picked")[1] == {"peer": other.name, "address": other.endpoint, "among": 1}
    assert sum(count for _, count in outcome(world).sources) == PIECES
    # A piece that was on its way may be requested again, a verified one never: see nothing_twice.
    assert outcome(world).transferred == len(world.data)


def test_a_stalled_seed_is_replaced(world: World) -> None:
    first, second = world.source(), world.source()
    first.mute_after = second.mute_after = 5 * PIECE
    getter = world.getter(patience=Timeouts(stall=3.0))
    assert getter.run(60.0, lambda: bool(getter.fields_of("picked")))
    mute, other = (first, second) if getter.fields_of("picked")[0]["peer"] == first.name else (second, first)
    other.mute_after = None
    start = world.simulation.now
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert [peer for peer, _ in lost(getter)] == [mute.name]
    assert 3.0 <= world.simulation.now - start - 1.0 <= 3.6


def test_a_slow_seed_is_replaced_while_another_is_left(world: World) -> None:
    first, second = world.source(), world.source()
    first.rate = second.rate = 2_000.0
    getter = world.getter()
    assert getter.run(60.0, lambda: bool(getter.fields_of("picked")))
    slow, other = (first, second) if getter.fields_of("picked")[0]["peer"] == first.name else (second, first)
    other.rate = None
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    ((peer, reason),) = lost(getter)
    assert peer == slow.name
    assert str(reason).startswith("slow: ")


def test_the_only_seed_may_be_slow(tmp_path: Path) -> None:
    world = World(tmp_path, size=3 * PIECE)
    world.source().rate = 2_000.0
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert lost(getter) == []
    world.close()


def test_pieces_may_each_take_longer_than_the_give_up_time(tmp_path: Path) -> None:
    world = World(tmp_path, size=48 * PIECE)
    source = world.source(publish=False)
    source.store.info = info_of(world.data, 16 * PIECE, NAME)
    source.store.held = PieceSet.full(3)
    source.publish()
    source.rate = 8_000.0
    getter = world.getter(patience=Timeouts(give_up=3.0))
    assert getter.until_ended() is Phase.DONE, getter.download.failure
    assert getter.path.read_bytes() == world.data
    world.close()


def test_a_slow_seed_is_replaced_by_a_seed_that_joins_later(tmp_path: Path) -> None:
    world = World(tmp_path, size=64 * PIECE)
    crawling = world.source()
    crawling.rate = 2_000.0
    getter = world.getter()
    assert getter.run(60.0, lambda: bool(getter.fields_of("picked")))
    later = world.source()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    ((peer, reason),) = lost(getter)
    assert (peer, str(reason).startswith("slow: ")) == (crawling.name, True)
    assert [event["peer"] for event in getter.fields_of("picked")] == [crawling.name, later.name]
    # The look-ups repeat now and then, in the same row of the tracker's log.
    assert len(getter.fields_of("lookup")) < 8
    assert len(world.tracker.of(RequestOpened)) == 1
    world.close()


def test_a_seed_that_refuses_connections_is_skipped(world: World) -> None:
    for _ in range(4):
        world.source().refuses = True
    world.sources[2].refuses = False
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert {reason for _, reason in lost(getter)} <= {"connection refused"}
    assert world.sources[2].connections == 1
    assert [fields["among"] for fields in getter.fields_of("picked")] == list(range(4, 3 - len(lost(getter)), -1))


def test_a_seed_that_does_not_answer_is_skipped(world: World) -> None:
    first, second = world.source(), world.source()
    first.ignores = second.ignores = True
    getter = world.getter()
    assert getter.run(60.0, lambda: bool(getter.fields_of("picked")))
    second.ignores = getter.fields_of("picked")[0]["peer"] == second.name
    first.ignores = not second.ignores
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert [reason for _, reason in lost(getter)] == ["no reply to the connection attempt"]


@pytest.mark.parametrize("seed", range(5))
def test_seeds_that_never_failed_are_tried_first(world: World, seed: int) -> None:
    for _ in range(6):
        world.source().refuses = True
    getter = world.getter(seed=seed)
    getter.run(2.0)
    world.source(name="fresh")
    assert getter.until_ended() is Phase.DONE
    assert getter.fields_of("picked")[-1]["peer"] == "fresh"
    # It comes first in the list that has it: it alone has never failed.
    assert getter.fields_of("picked")[-1]["among"] == 1
    assert len(lost(getter)) % 6 == 0


# -- bad pieces ------------------------------------------------------------------------------------


def test_the_sender_of_a_bad_piece_is_banned(world: World) -> None:
    bad = world.source(corrupt=(7,), name="bad")
    getter = world.getter()
    assert getter.run(60.0, lambda: bool(getter.fields_of("bad_piece")))
    good = world.source(name="good")
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert getter.fields_of("bad_piece") == [{"peer": "bad", "address": bad.endpoint, "piece": 7}]
    assert lost(getter) == [("bad", "sent piece 7 with a wrong hash")]
    assert bad.connections == 1
    assert good.connections == 1
    ended = outcome(world)
    # The bad seed's right pieces count, and are not downloaded again.
    assert sum(count for _, count in ended.sources) == PIECES
    assert dict(ended.sources)["good"] >= 1


def test_one_good_seed_among_bad_ones_is_enough(world: World) -> None:
    for number in range(6):
        world.source(corrupt=tuple(range(number, PIECES, 6)))
    world.source(name="good")
    getter = world.getter(seed=4)
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert all(source.connections <= 1 for source in world.sources)


def test_with_only_bad_seeds_nothing_wrong_is_written(world: World) -> None:
    bad = world.source(corrupt=(0,), name="bad")
    getter = world.getter(patience=Timeouts(give_up=10.0))
    assert getter.until_ended() is Phase.FAILED
    assert getter.download.failure == "bad: sent piece 0 with a wrong hash; gave up after 10 s without a new piece"
    assert bad.connections == 1
    assert not getter.path.exists()
    part = (getter.path.parent / f"{NAME}.part").read_bytes()
    for piece in getter.verified:
        assert part[piece * PIECE :][:PIECE] == world.data[piece * PIECE :][:PIECE]
    assert 0 not in getter.verified
    ended = outcome(world)
    assert (ended.state, ended.reason) == (RequestState.FAILED, getter.download.failure)


# -- no source left --------------------------------------------------------------------------------


def test_a_seed_that_returns_is_used_again(world: World) -> None:
    first = world.source()
    first.dies_after, first.rate = 10 * PIECE, 500_000.0
    getter = world.getter()
    assert getter.run(60.0, lambda: bool(getter.fields_of("source_lost")))
    done = len(getter.verified)
    getter.run(20.0)
    first.come_back()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert done >= 5
    assert len(world.tracker.of(RequestOpened)) == 1
    assert outcome(world).transferred == len(world.data)


def test_look_up_pauses_grow_until_give_up(world: World) -> None:
    source = world.source()
    source.dies_after, source.rate = 10 * PIECE, 500_000.0
    getter = world.getter(patience=Timeouts(give_up=30.0))
    assert getter.run(60.0, lambda: bool(getter.fields_of("source_lost")))
    advanced = max(getter.verified.values())
    assert getter.until_ended() is Phase.FAILED
    failed = next(event for event in getter.event_lines if event.name == "failed")
    assert 30.0 <= failed.time - advanced <= 30.0 + MAX_RETRY_PAUSE
    lookups = [event.time for event in getter.event_lines if event.name == "lookup"][1:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(lookups)]
    # Pauses grow, and never exceed the tracker's keep-alive: look-ups keep the request alive.
    gone = next(event.time for event in getter.event_lines if event.name == "source_lost")
    assert 0.25 <= lookups[0] - gone < 0.3
    assert min(gaps) >= 0.5
    assert max(gaps) <= 0.51
    assert getter.download.failure == f"no peer has all of {NAME!r} now; gave up after 30 s without a new piece"
    assert failed.fields == {"file": NAME, "reason": getter.download.failure}
    ended = outcome(world)
    assert (ended.state, ended.reason) == (RequestState.FAILED, getter.download.failure)
    assert (getter.path.parent / f"{NAME}.part").exists()


def test_look_up_pauses_grow_to_their_maximum(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.tracker._settings = type(world.tracker._settings)(20.0, 100.0)
    world.tracker.restart()
    getter = world.getter(patience=Timeouts(give_up=60.0))
    assert getter.until_ended() is Phase.FAILED
    lookups = [event.time for event in getter.event_lines if event.name == "lookup"]
    gaps = [round(later - earlier, 1) for earlier, later in itertools.pairwise(lookups)]
    assert gaps[:6] == [0.3, 0.5, 1.0, 2.0, 4.0, MAX_RETRY_PAUSE]
    assert set(gaps[5:]) == {MAX_RETRY_PAUSE}


def test_a_download_waits_for_its_first_seed(world: World) -> None:
    getter = world.getter()
    getter.run(20.0)
    assert not getter.ended
    world.source()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    (began,) = world.tracker.of(RequestOpened)
    assert isinstance(began, RequestOpened)
    assert outcome(world).number == began.number


def test_a_download_without_any_seed_fails(world: World) -> None:
    getter = world.getter(patience=Timeouts(give_up=10.0))
    assert getter.until_ended() is Phase.FAILED
    text = f"the tracker knows no file named {NAME!r}; gave up after 10 s without a new piece"
    assert getter.download.failure == text
    assert (outcome(world).state, outcome(world).reason) == (RequestState.FAILED, text)
    assert os.listdir(getter.path.parent) == []


def test_a_tracker_that_never_replies_fails_the_download(world: World) -> None:
    world.tracker.down = True
    getter = world.getter(patience=Timeouts(give_up=10.0))
    start = world.simulation.now
    assert getter.until_ended() is Phase.FAILED
    assert getter.download.failure == "the tracker does not answer; gave up after 10 s without a new piece"
    assert world.simulation.now - start <= 11.1
    assert getter.fields_of("tracker_silent") == [{}]


def test_a_download_survives_the_trackers_death(world: World) -> None:
    world.source().rate = 200_000.0
    getter = world.getter()
    getter.run(2.0)
    world.tracker.down = True
    assert getter.run(60.0, lambda: getter.ended)
    assert getter.download.phase is Phase.DONE
    check_complete(world, getter)
    # The outcome is reported as soon as a tracker answers.
    waiting = [record for record in world.tracker.of(RequestOpened) if isinstance(record, RequestOpened)]
    world.tracker.restart()
    world.tracker.core.restore(waiting, world.simulation.now)
    getter.run(2.0)
    assert outcome(world).state is RequestState.SUCCEEDED
    assert getter.fields_of("tracker_back") == [{}]
    swarm = world.tracker.core.registry.by_name.get(NAME)
    assert swarm is not None
    assert swarm.seeders == 2


# -- many things at once, many times ---------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_a_download_survives_every_misfortune_at_once(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed=seed, trouble=Trouble(loss=0.1, duplicate=0.1, jitter=0.05))
    rng = world.rng
    for number in range(5):
        source = world.source(corrupt=(rng.randrange(PIECES),) if number == 3 else ())
        source.rate = rng.choice([None, 100_000.0, 400_000.0])
        kind = rng.choice(["dies", "mute", "refuses", "ignores", "fine"])
        source.dies_after = rng.randrange(1, len(world.data)) if kind == "dies" else None
        source.mute_after = rng.randrange(1, len(world.data)) if kind == "mute" else None
        source.refuses, source.ignores = kind == "refuses", kind == "ignores"
    getter = world.getter(seed=seed, patience=Timeouts(stall=2.0, give_up=120.0))
    getter.run(rng.uniform(1.0, 30.0))
    last = world.source(name="the-last-one")
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert last.connections <= 1
    (began,) = world.tracker.of(RequestOpened)
    ended = outcome(world)
    assert isinstance(began, RequestOpened)
    assert (ended.number, ended.state, ended.transferred) == (began.number, RequestState.SUCCEEDED, len(world.data))
    world.close()


# -- the random choice -----------------------------------------------------------------------------


def picks(world: World, seed: int, count: int) -> list[object]:
    """Return the first source of each getter, with random seeds from ``seed`` on."""
    made = []
    for number in range(seed, seed + count):
        getter = world.getter(f"leecher-{number}", seed=number)
        assert getter.run(10.0, lambda g=getter: bool(g.fields_of("picked")))  # type: ignore[misc]  # a default argument
        made.append(getter.fields_of("picked")[0]["peer"])
        getter.kill()
    return made


def test_the_choice_repeats_with_the_same_seed(world: World) -> None:
    for number in range(8):
        world.source().refuses = number != 0
    orders = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
        getter = world.getter(name, seed=seed)
        assert getter.until_ended() is Phase.DONE
        orders.append([fields["peer"] for fields in getter.fields_of("picked")])
        getter.session.leave(world.simulation.now, 0.6)
        getter.run(1.0)
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3


def test_every_seed_is_equally_likely(world: World) -> None:
    for _ in range(4):
        world.source()
    counts = Counter(picks(world, 0, 400))
    # Chi-square with 3 degrees of freedom: chance exceeds 16.3 once in a thousand runs, and the seeds are fixed.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 16.3
    assert len(counts) == 4


# -- resuming, and what is there already -----------------------------------------------------------


def test_a_killed_download_resumes(world: World) -> None:
    world.source().rate = 200_000.0
    first = world.getter("leecher")
    first.run(3.0)
    first.kill()
    kept = dict(first.verified)
    assert 5 < len(kept) < 35
    world.simulation.run(3.0)
    for store in first.stores:
        store.close()
    first.stores.clear()
    asked = len(world.sources[0].asked)
    second = world.getter("leecher", seed=2)
    assert second.until_ended() is Phase.DONE
    assert second.path.read_bytes() == world.data
    assert second.fields_of("resumed") == [{"file": NAME, "have": len(kept), "pieces": PIECES}]
    assert {request.piece for _, request in world.sources[0].asked[asked:]} == set(range(PIECES)) - set(kept)
    assert second.fields_of("completed")[0]["bytes"] == len(world.data) - len(kept) * PIECE


def test_a_complete_part_needs_only_the_info_dictionary(world: World) -> None:
    source = world.source()
    directory = world.directory / "leecher"
    directory.mkdir()
    (directory / f"{NAME}.part").write_bytes(world.data)
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert source.asked == []
    assert outcome(world).transferred == 0
    assert getter.fields_of("completed")[0]["sources"] == "disk"


def test_a_damaged_part_is_repaired(world: World) -> None:
    source = world.source()
    directory = world.directory / "leecher"
    directory.mkdir()
    damaged = bytearray(world.data)
    for piece in (0, 13, 40):
        damaged[piece * PIECE + 5] ^= 1
    (directory / f"{NAME}.part").write_bytes(damaged)
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert {request.piece for _, request in source.asked} == {0, 13, 40}


def existing(world: World, data: bytes) -> None:
    (world.directory / "leecher").mkdir()
    (world.directory / "leecher" / NAME).write_bytes(data)


def test_a_complete_file_is_seeded_at_once(world: World) -> None:
    source = world.source()
    existing(world, world.data)
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert source.connections == 0
    assert getter.fields_of("completed")[0]["sources"] == "disk"
    assert outcome(world).state is RequestState.SUCCEEDED
    swarm = world.tracker.core.registry.by_name.get(NAME)
    assert swarm is not None
    assert swarm.seeders == 2


def test_an_unknown_complete_file_is_published(world: World) -> None:
    existing(world, world.data)
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    # No piece length of its own: a peer that shares the same file later must join the same swarm.
    assert getter.opened_with == 0
    swarm = world.tracker.core.registry.by_name.get(NAME)
    assert swarm is not None
    assert (swarm.seeders, swarm.size) == (1, len(world.data))
    assert outcome(world).state is RequestState.SUCCEEDED


@pytest.mark.parametrize("size", [0, 100, 40 * PIECE + 99, 40 * PIECE + 100, 50 * PIECE])
def test_a_file_with_other_content_is_not_touched(world: World, size: int) -> None:
    world.source()
    other = content(size, seed=9)
    existing(world, other)
    getter = world.getter()
    assert getter.until_ended() is Phase.FAILED
    assert getter.download.failure == f"{getter.path} already exists with different content"
    assert getter.download.hint == "move it away, or download into another directory with --dir"
    assert getter.path.read_bytes() == other
    assert os.listdir(getter.path.parent) == [NAME]
    assert outcome(world).state is RequestState.FAILED


def test_the_same_bytes_with_another_info_hash_are_seeded(world: World) -> None:
    """A standard client's info dictionary may differ from ours for the very same file."""
    source = world.source(publish=False)
    info = source.store.info
    raw = info.raw.replace(b"7:privatei1e", b"")
    assert raw != info.raw
    source.store.info = type(info)(info.name, info.length, info.piece_length, info.hashes, raw)
    source.publish()
    existing(world, world.data)
    getter = world.getter()
    assert getter.until_ended() is Phase.DONE
    check_complete(world, getter)
    assert source.asked == []


def test_a_file_that_appears_meanwhile_is_not_replaced(world: World) -> None:
    world.source().rate = 300_000.0
    getter = world.getter()
    getter.run(2.0)
    getter.path.write_bytes(b"somebody else's")
    assert getter.until_ended() is Phase.FAILED
    assert getter.download.failure == f"{getter.path} has been created meanwhile; {NAME}.part is complete"
    assert getter.path.read_bytes() == b"somebody else's"
    assert (getter.path.parent / f"{NAME}.part").read_bytes() == world.data
    assert outcome(world).state is RequestState.FAILED


def test_a_full_disk_fails_the_download_at_once(world: World) -> None:
    world.source()
    getter = world.getter()
    getter.disk_full_after = 3
    assert getter.until_ended() is Phase.FAILED
    assert getter.download.failure == "no space left for the part"
    assert getter.download.hint == "free some space and start again"
    assert outcome(world).reason == "no space left for the part"
    assert len(getter.verified) == 3


def test_a_stopped_download_reports_its_outcome(world: World) -> None:
    world.source().rate = 200_000.0
    getter = world.getter()
    getter.run(2.0)
    getter.download.abandon("the peer was stopped", world.simulation.now)
    getter.session.leave(world.simulation.now, 0.6)
    getter.run(0.3)
    ended = outcome(world)
    assert (ended.state, ended.reason) == (RequestState.FAILED, "the peer was stopped")
    assert ended.transferred == len(getter.verified) * PIECE
    assert [event.fields["peer"] for event in world.tracker.named("left")] == ["leecher"]


# -- sources that lie ------------------------------------------------------------------------------


def test_a_name_that_now_means_another_file_is_not_mixed_in(world: World) -> None:
    """A new file is published under the name of a file that is gone.

    All seeds leave, the tracker forgets all peers, and a peer publishes another file under the same name.
    """
    source = world.source()
    source.dies_after = 5 * PIECE
    getter = world.getter(patience=Timeouts(give_up=20.0))
    assert getter.run(60.0, lambda: bool(getter.fields_of("source_lost")))
    other = world.source(publish=False, name="other")
    other.store.info = info_of(content(len(world.data), 7), PIECE, NAME)
    world.tracker.restart()
    other.publish()
    assert getter.until_ended() is Phase.FAILED
    assert "another" in getter.download.failure
    assert other.asked == []


def test_an_info_dictionary_with_an_absurd_size_writes_nothing(world: World) -> None:
    source = world.source(publish=False)
    source.store.info = make_info(NAME, 1 << 61, 1 << 26, b"")
    source.publish()
    getter = world.getter(patience=Timeouts(give_up=5.0))
    assert getter.until_ended() is Phase.FAILED
    assert os.listdir(getter.path.parent) == []


def test_the_response_log_has_every_step(world: World) -> None:
    world.source(corrupt=(3,), name="bad")
    getter = world.getter()
    assert getter.run(60.0, lambda: bool(getter.fields_of("bad_piece")))
    world.source(name="good")
    assert getter.until_ended() is Phase.DONE
    entries = list(getter.log.entries())
    rows = [(entry.source, entry.what, entry.verdict) for entry in entries]
    size = len(world.data)
    assert rows[0] == ("tracker", f"{NAME}: {size} bytes, complete at bad", "claimed")
    assert rows[1] == ("bad", "picked among 1", "")
    assert rows[2] == ("bad", f"info dictionary of {PIECES} pieces", "verified")
    assert ("bad", "piece 3", "thrown away: wrong hash") in rows
    assert ("bad", "source lost", "sent piece 3 with a wrong hash") in rows
    assert ("tracker", f"{NAME}: {size} bytes, complete at bad, good", "claimed") in rows
    assert ("good", "piece 3", "verified") in rows
    assert rows[-1] == ("disk", f"{NAME} is complete", "completed")
    verified = [entry for entry in entries if entry.what.startswith("piece ") and entry.verdict == "verified"]
    assert len(verified) == PIECES
    assert sum(entry.size or 0 for entry in verified) == size
    assert all(entry.elapsed is not None and entry.elapsed > 0 for entry in verified)
    assert json.dumps([entry.what for entry in entries])
