"""The choice of the next piece."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.peer.scheduling.piece_picker import SAMPLE_SIZE, PiecePicker, newly_held
from torrentnet.wire.piece_set import PieceSet

ALL = PieceSet.full(10)


def work(size: int = 10, held: tuple[int, ...] = (), seed: int = 1) -> PiecePicker[str]:
    return PiecePicker(PieceSet(size, held), random.Random(seed))


def test_each_missing_piece_is_picked_once() -> None:
    one = work(held=(2, 5))
    given_out = [one.pick(ALL, "a", 0.0) for _ in range(9)]
    assert sorted(piece for piece in given_out if piece is not None) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert given_out[-1] is None
    assert one.all_requested
    assert one.requested == 8


def test_only_pieces_that_the_peer_holds_are_picked() -> None:
    one = work()
    assert one.pick(PieceSet(10), "a", 0.0) is None
    assert {one.pick(PieceSet(10, [3, 7]), "a", 0.0) for _ in range(2)} == {3, 7}
    assert one.pick(PieceSet(10, [3, 7]), "a", 0.0) is None
    assert not one.any_unrequested(PieceSet(10, [3, 7]))
    assert one.any_unrequested(PieceSet(10, [3, 4]))
    assert not one.any_unrequested(PieceSet(10))


def test_the_rarest_piece_is_picked_first() -> None:
    one = work()
    one.add_holder(range(10))
    one.add_holder(piece for piece in range(10) if piece != 6)
    assert one.pick(ALL, "a", 0.0) == 6
    # The pieces of a holder that has left are rarer.
    one.remove_holder([2])
    assert one.pick(ALL, "a", 0.0) == 2


def test_equally_rare_pieces_are_picked_at_random() -> None:
    """Leechers that all start with the same piece would have nothing for each other."""
    first = Counter(work(seed=seed).pick(ALL, "a", 0.0) for seed in range(200))
    assert len(first) == 10
    assert max(first.values()) < 60


def test_a_piece_without_a_source_is_picked_again() -> None:
    one = work()
    pieces = [one.pick(ALL, "a", 0.0) for _ in range(10)]
    mine = [piece for piece in pieces if piece is not None]
    assert one.all_requested
    assert sorted(one.remove_source(mine[:3], "a")) == sorted(mine[:3])
    assert sorted(one.pick(ALL, "b", 0.0) or 0 for _ in range(3)) == sorted(mine[:3])
    # A piece of another source: nothing happens.
    assert list(one.remove_source(mine[:3], "a")) == []
    assert list(one.remove_source([0], "stranger")) == []


def test_a_piece_with_another_source_is_not_picked_again() -> None:
    one = work(size=1)
    assert one.pick(PieceSet.full(1), "a", 0.0) == 0
    one.add_source(0, "b")
    assert list(one.remove_source([0], "a")) == []
    assert one.requested == 1
    assert list(one.remove_source([0], "b")) == [0]
    assert not one.is_requested(0)
    assert one.is_unrequested(0)


def test_a_received_piece_returns_all_its_sources() -> None:
    one = work(size=1)
    one.pick(PieceSet.full(1), "a", 0.0)
    one.add_source(0, "b")
    assert one.remove_requested(0) == ["a", "b"]
    assert not one.is_requested(0)
    assert not one.is_unrequested(0)
    assert one.remove_requested(0) == []


def test_a_bad_piece_is_put_back_once() -> None:
    one = work(size=2, held=(1,))
    one.pick(PieceSet.full(2), "a", 0.0)
    one.remove_requested(0)
    one.put_back(0)
    one.put_back(0)
    assert one.pick(PieceSet.full(2), "b", 0.0) == 0
    assert one.pick(PieceSet.full(2), "b", 0.0) is None


def test_the_slowest_piece_may_get_a_second_source() -> None:
    one = work(size=3)
    everything = PieceSet.full(3)
    first, second, third = (one.pick(everything, "slow", 0.0) for _ in range(3))
    assert first is not None
    assert second is not None
    seconds = {first: 4.0, second: 3.0, third: 2.0}

    def needs(giver: str, piece: int) -> float:
        assert giver == "slow"
        return seconds[piece]

    assert one.slowest(everything, "b", needs) == (4.0, first)
    assert one.slowest(everything, "slow", needs) is None
    one.add_source(first, "b")
    # Two sources are enough.
    assert one.slowest(everything, "c", needs) == (3.0, second)
    assert one.slowest(PieceSet(3, [first]), "c", needs) is None


def test_the_only_piece_of_a_peer_is_found_among_many() -> None:
    """A sample may miss it; its holder must not be told that we are not interested."""
    size = 40 * SAMPLE_SIZE
    for piece in (0, 7_777, size - 1):
        one = work(size=size, seed=piece)
        theirs = PieceSet(size, [piece])
        assert one.any_unrequested(theirs)
        assert one.pick(theirs, "a", 0.0) == piece
        assert one.pick(theirs, "a", 0.0) is None


def test_newly_held_pieces_are_returned_once() -> None:
    counted = PieceSet(10, [1])
    assert newly_held(counted, PieceSet(10, [1, 2, 3])) == [2, 3]
    assert newly_held(counted, PieceSet(10, [1, 2, 3])) == []
    assert counted == PieceSet(10, [1, 2, 3])


@given(
    seed=st.integers(0, 1_000),
    size=st.integers(1, 30),
    steps=st.lists(st.tuples(st.sampled_from("tgajb"), st.integers(0, 29), st.sampled_from("abc")), max_size=80),
)
def test_no_piece_is_lost_or_requested_twice(seed: int, size: int, steps: list[tuple[str, int, str]]) -> None:
    """Every missing piece is unrequested, requested or received.

    That holds whatever happens in whatever order.
    """
    one = work(size=size, seed=seed)
    everything = PieceSet.full(size)
    asked: dict[int, list[str]] = {}
    here: set[int] = set()
    for step, number, giver in steps:
        piece = number % size
        if step == "t":
            taken = one.pick(everything, giver, 0.0)
            assert (taken is None) == (len(asked) + len(here) == size)
            if taken is not None:
                assert taken not in asked
                assert taken not in here
                asked[taken] = [giver]
        elif step == "g":
            back = list(one.remove_source([piece], giver))
            givers = asked.get(piece, [])
            if giver in givers:
                givers.remove(giver)
                assert back == ([] if givers else [piece])
                if not givers:
                    del asked[piece]
            else:
                assert back == []
        elif step == "a" and piece in asked:
            assert one.remove_requested(piece) == asked.pop(piece)
            here.add(piece)
        elif step == "j" and len(asked.get(piece, "12")) == 1 and giver not in asked[piece]:
            one.add_source(piece, giver)
            asked[piece].append(giver)
        elif step == "b" and piece in here:
            one.put_back(piece)
            here.remove(piece)
        assert one.requested == len(asked)
        assert one.all_requested == (len(asked) + len(here) == size)
        for other in range(size):
            assert one.is_requested(other) == (other in asked)
            assert one.is_unrequested(other) == (other not in asked and other not in here)


@pytest.mark.parametrize("held", [(), (0,), tuple(range(10))])
def test_all_requested_from_the_start(held: tuple[int, ...]) -> None:
    assert work(held=held).all_requested == (len(held) == 10)
