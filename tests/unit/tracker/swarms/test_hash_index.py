"""What many rows share instead of objects of their own: texts in one buffer, and rows by a value's hash."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracker.world import SIZE, Client, World
from torrentnet.tracker.swarms.hash_index import MAX_EQUAL_HASHES, HashIndex
from torrentnet.tracker.swarms.string_arena import StringArena
from torrentnet.wire.udp.packets import AnnounceEvent

names = st.text(max_size=60).filter(lambda text: len(text.encode("utf-8", "replace")) <= 255)


@given(st.lists(st.tuples(st.integers(0, 30), st.none() | names.filter(str.isprintable))))
def test_texts_are_what_was_noted_last(steps: list[tuple[int, str | None]]) -> None:
    texts, model = StringArena(), dict[int, str]()
    for row, text in steps:
        del texts[row]
        model.pop(row, None)
        if text is not None:
            texts[row] = model[row] = text
        assert [texts[number] for number in range(32)] == [model.get(number) for number in range(32)]


def test_place_of_a_text_that_is_gone_is_used_again() -> None:
    texts = StringArena()
    for life in range(100):
        for row in range(50):
            texts[row] = f"peer-{row}-{life % 10}"
        for row in range(50):
            del texts[row]
    assert len(texts._buffer) < 2_000


def test_text_that_is_too_long_is_refused_and_leaves_nothing() -> None:
    texts = StringArena()
    texts[0] = "ü" * 127
    with pytest.raises(ValueError, match="256 bytes"):
        texts[1] = "ü" * 128
    assert (texts[0], texts[1]) == ("ü" * 127, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=400), st.sampled_from([1, 7, 1 << 40]))
def test_finder_finds_what_is_in_it(steps: list[tuple[bool, int]], kinds: int) -> None:
    def hash_of(row: int) -> int:
        return row % kinds * 0x9E3779B97F4A7C15 - (1 << 62)

    finder, model = HashIndex(array("I"), hash_of), set[int]()
    for comes, row in steps:
        if comes and row not in model:
            alike = sum(hash_of(other) == hash_of(row) for other in model)
            finder.add(row)
            if alike < MAX_EQUAL_HASHES:
                model.add(row)
        elif not comes:
            finder.remove(row)
            model.discard(row)
    assert len(finder) == len(model)
    for row in range(201):
        found = [other for other in finder.rows(hash_of(row)) if hash_of(other) == hash_of(row)]
        assert sorted(found) == sorted(other for other in model if hash_of(other) == hash_of(row))


def test_finder_of_many_rows_looks_at_few() -> None:
    finder = HashIndex(array("I"), hash)
    for row in range(10_000):
        finder.add(row * 3)
    assert max(len(finder.rows(row * 3)) for row in range(10_000)) < 20


def test_crowd_with_one_peer_id_is_told_of_each_other() -> None:
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
