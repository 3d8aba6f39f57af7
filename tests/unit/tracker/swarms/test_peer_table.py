"""The string arena and the hash index of the peer table.

Each is compared with a plain model.
"""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracker.world import SIZE, Client, World
from torrentnet.tracker.swarms.peer_table import MAX_EQUAL_HASHES, HashIndex, StringArena
from torrentnet.wire.udp.packets import AnnounceEvent

names = st.text(max_size=60).filter(lambda text: len(text.encode("utf-8", "replace")) <= 255)


@given(st.lists(st.tuples(st.integers(0, 30), st.none() | names.filter(str.isprintable))))
def test_arena_returns_the_last_string_of_each_row(steps: list[tuple[int, str | None]]) -> None:
    arena, model = StringArena(), dict[int, str]()
    for row, text in steps:
        del arena[row]
        model.pop(row, None)
        if text is not None:
            arena[row] = model[row] = text
        assert [arena[number] for number in range(32)] == [model.get(number) for number in range(32)]


def test_arena_reuses_the_space_of_deleted_strings() -> None:
    arena = StringArena()
    for life in range(100):
        for row in range(50):
            arena[row] = f"peer-{row}-{life % 10}"
        for row in range(50):
            del arena[row]
    assert len(arena._buffer) < 2_000


def test_arena_rejects_a_string_that_is_too_long() -> None:
    arena = StringArena()
    arena[0] = "ü" * 127
    with pytest.raises(ValueError, match="256 bytes"):
        arena[1] = "ü" * 128
    assert (arena[0], arena[1]) == ("ü" * 127, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=400), st.sampled_from([1, 7, 1 << 40]))
def test_index_finds_its_rows(steps: list[tuple[bool, int]], kinds: int) -> None:
    def hash_of(row: int) -> int:
        return row % kinds * 0x9E3779B97F4A7C15 - (1 << 62)

    index, model = HashIndex(array("I"), hash_of), set[int]()
    for insert, row in steps:
        if insert and row not in model:
            equal = sum(hash_of(other) == hash_of(row) for other in model)
            index.add(row)
            if equal < MAX_EQUAL_HASHES:
                model.add(row)
        elif not insert:
            index.remove(row)
            model.discard(row)
    assert len(index) == len(model)
    for row in range(201):
        found = [other for other in index.candidates(hash_of(row)) if hash_of(other) == hash_of(row)]
        assert sorted(found) == sorted(other for other in model if hash_of(other) == hash_of(row))


def test_large_index_returns_few_candidates() -> None:
    index = HashIndex(array("I"), hash)
    for row in range(10_000):
        index.add(row * 3)
    assert max(len(index.candidates(row * 3)) for row in range(10_000)) < 20


def test_peers_that_share_a_peer_id_learn_of_each_other() -> None:
    world = World()
    crowd = [Client(world, "twin", ip=f"10.0.0.{number}", peer_id=b"t" * 20) for number in range(1, 30)]
    for twin in crowd:
        twin.announce(AnnounceEvent.STARTED)
    other = Client(world, "leecher", ip="10.0.1.1")
    assert other.lookup().complete == 29
    assert crowd[28].lookup().complete == 29 - MAX_EQUAL_HASHES - 1
    for twin in crowd:
        twin.announce(AnnounceEvent.STOPPED, left=SIZE)
    assert not other.lookup().found
