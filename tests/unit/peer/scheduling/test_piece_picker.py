"""Which piece next."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torrentnet.peer.scheduling.piece_picker import SAMPLE_SIZE, PiecePicker, newly_held
from torrentnet.wire.piece_set import PieceSet

ALL = PieceSet.full(10)


def work(size: int = 10, held: tuple[int, ...] = (), seed: int = 1) -> PiecePicker[str]:
    return PiecePicker(PieceSet(size, held), random.Random(seed))


def test_each_missing_piece_is_given_out_once() -> None:
    one = work(held=(2, 5))
    given_out = [one.pick(ALL, "a", 0.0) for _ in range(9)]
    assert sorted(piece for piece in given_out if piece is not None) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert given_out[-1] is None
    assert one.all_requested
    assert one.requested == 8


def test_only_what_the_peer_has_is_asked_of_it() -> None:
    one = work()
    assert one.pick(PieceSet(10), "a", 0.0) is None
    assert {one.pick(PieceSet(10, [3, 7]), "a", 0.0) for _ in range(2)} == {3, 7}
    assert one.pick(PieceSet(10, [3, 7]), "a", 0.0) is None
    assert not one.any_unrequested(PieceSet(10, [3, 7]))
    assert one.any_unrequested(PieceSet(10, [3, 4]))
    assert not one.any_unrequested(PieceSet(10))


def test_the_rarest_comes_first() -> None:
    one = work()
    one.add_holder(range(10))
    one.add_holder(piece for piece in range(10) if piece != 6)
    assert one.pick(ALL, "a", 0.0) == 6
    # A holder that has gone makes its pieces rare.
    one.remove_holder([2])
    assert one.pick(ALL, "a", 0.0) == 2


def test_among_equals_the_choice_is_by_chance() -> None:
    """Leechers that all began with the same piece would have nothing for each other."""
    first = Counter(work(seed=seed).pick(ALL, "a", 0.0) for seed in range(200))
    assert len(first) == 10
    assert max(first.values()) < 60


def test_a_piece_that_is_given_up_is_asked_of_others() -> None:
    one = work()
    pieces = [one.pick(ALL, "a", 0.0) for _ in range(10)]
    mine = [piece for piece in pieces if piece is not None]
    assert one.all_requested
    assert sorted(one.remove_source(mine[:3], "a")) == sorted(mine[:3])
    assert sorted(one.pick(ALL, "b", 0.0) or 0 for _ in range(3)) == sorted(mine[:3])
    # Not its own any more: nothing happens.
    assert list(one.remove_source(mine[:3], "a")) == []
    assert list(one.remove_source([0], "stranger")) == []


def test_a_piece_that_another_one_still_sends_does_not_come_back() -> None:
    one = work(size=1)
    assert one.pick(PieceSet.full(1), "a", 0.0) == 0
    one.add_source(0, "b")
    assert list(one.remove_source([0], "a")) == []
    assert one.requested == 1
    assert list(one.remove_source([0], "b")) == [0]
    assert not one.is_requested(0)
    assert one.is_unrequested(0)


def test_who_was_asked_is_told_when_it_arrives() -> None:
    one = work(size=1)
    one.pick(PieceSet.full(1), "a", 0.0)
    one.add_source(0, "b")
    assert one.remove_requested(0) == ["a", "b"]
    assert not one.is_requested(0)
    assert not one.is_unrequested(0)
    assert one.remove_requested(0) == []


def test_a_bad_piece_is_missing_again_once() -> None:
    one = work(size=2, held=(1,))
    one.pick(PieceSet.full(2), "a", 0.0)
    one.remove_requested(0)
    one.put_back(0)
    one.put_back(0)
    assert one.pick(PieceSet.full(2), "b", 0.0) == 0
    assert one.pick(PieceSet.full(2), "b", 0.0) is None


def test_the_piece_that_will_be_here_last_is_asked_of_one_more() -> None:
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
    # Two are enough.
    assert one.slowest(everything, "c", needs) == (3.0, second)
    assert one.slowest(PieceSet(3, [first]), "c", needs) is None


def test_the_one_piece_that_somebody_has_is_found_among_many() -> None:
    """A sample may miss it; whoever has it must not be told that nothing is wanted of it."""
    size = 40 * SAMPLE_SIZE
    for piece in (0, 7_777, size - 1):
        one = work(size=size, seed=piece)
        theirs = PieceSet(size, [piece])
        assert one.any_unrequested(theirs)
        assert one.pick(theirs, "a", 0.0) == piece
        assert one.pick(theirs, "a", 0.0) is None


def test_gained_tells_each_piece_once() -> None:
    counted = PieceSet(10, [1])
    assert newly_held(counted, PieceSet(10, [1, 2, 3])) == [2, 3]
    assert newly_held(counted, PieceSet(10, [1, 2, 3])) == []
    assert counted == PieceSet(10, [1, 2, 3])


@settings(deadline=None)
@given(
    seed=st.integers(0, 1_000),
    size=st.integers(1, 30),
    steps=st.lists(st.tuples(st.sampled_from("tgajb"), st.integers(0, 29), st.sampled_from("abc")), max_size=80),
)
def test_no_piece_is_ever_lost_or_given_to_two_by_chance(
    seed: int, size: int, steps: list[tuple[str, int, str]]
) -> None:
    """Every missing piece is either to be asked for, asked for, or arrived; whatever the order of what happens."""
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
