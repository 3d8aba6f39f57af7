"""The choker's choice, and how much is promised ahead."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.peer.scheduling.choker import (
    INITIAL_LOOKAHEAD_BYTES,
    INITIAL_RATE_WINDOW,
    MAX_LOOKAHEAD_BYTES,
    MAX_WAIT,
    MIN_LOOKAHEAD_BYTES,
    RATE_WINDOW,
    SendRate,
    choose_next,
)


@dataclass(frozen=True)
class One:
    pieces_held: int
    waiting_since: float = 100.0


def test_no_peer_is_chosen_if_none_waits() -> None:
    assert choose_next([], random.Random(1), 100.0) is None


def test_the_peer_with_the_fewest_pieces_is_chosen() -> None:
    waiting = [One(5), One(2), One(9)]
    assert {choose_next(waiting, random.Random(seed), 100.0) for seed in range(20)} == {One(2)}


def test_among_many_peers_those_with_few_pieces_are_favoured() -> None:
    """The uplinks must not all serve the one peer with the fewest pieces."""
    waiting = [One(pieces) for pieces in range(20)]
    rng = random.Random(1)
    chosen = Counter(choose_next(waiting, rng, 100.0) for _ in range(2_000))
    assert chosen[One(0)] < 500
    with_few = sum(count for one, count in chosen.items() if one is not None and one.pieces_held < 10)
    assert with_few > 1_500


def test_equals_are_equally_likely() -> None:
    waiting = [One(3, 100.0 - n / 100) for n in range(10)]
    rng = random.Random(1)
    chosen = Counter(choose_next(waiting, rng, 100.0) for _ in range(2_000))
    assert min(chosen.values()) > 120
    assert len(chosen) == 10


def test_a_peer_that_has_waited_too_long_comes_first() -> None:
    longest = One(1_000, 100.0)
    waiting = [One(0, 100.0 + MAX_WAIT), longest, One(0, 101.0)]
    assert choose_next(waiting, random.Random(1), 100.0 + MAX_WAIT) != longest
    assert choose_next(waiting, random.Random(1), 100.1 + MAX_WAIT) is longest


# -- how much is promised ahead --------------------------------------------------------------------


def test_the_initial_lookahead_is_large() -> None:
    pace = SendRate(0.0)
    assert pace.lookahead() == INITIAL_LOOKAHEAD_BYTES


def test_data_that_leaves_at_once_is_not_a_rate() -> None:
    """A fast seed would start slowly if its first few bytes counted as its rate."""
    pace = SendRate(0.0)
    for step in range(1, 50):
        pace.sent(200)
        pace.update(step * 0.1, busy=False)
    assert pace.rate == 0
    assert pace.lookahead() == INITIAL_LOOKAHEAD_BYTES


def measured(rate: float, seconds: float = 3.0, *, pace: SendRate | None = None, now: float = 0.0) -> SendRate:
    """Return the send rate of an uplink that is always busy."""
    pace = pace or SendRate(now)
    step = 0.01
    for number in range(1, round(seconds / step) + 1):
        pace.sent(round(rate * step))
        pace.update(now + number * step, busy=True)
    return pace


@pytest.mark.parametrize("rate", [20_000.0, 250_000.0, 1e7])
def test_the_rate_of_a_busy_uplink_is_measured(rate: float) -> None:
    pace = measured(rate)
    assert pace.rate == pytest.approx(rate, rel=0.15)
    assert MIN_LOOKAHEAD_BYTES <= pace.lookahead() <= MAX_LOOKAHEAD_BYTES


def test_the_lookahead_follows_the_rate_within_bounds() -> None:
    assert measured(1_000.0).lookahead() == MIN_LOOKAHEAD_BYTES
    assert measured(1e6).lookahead() == pytest.approx(200_000, rel=0.15)
    assert measured(1e9).lookahead() == MAX_LOOKAHEAD_BYTES


def test_the_first_rate_is_measured_early() -> None:
    assert measured(1e6, INITIAL_RATE_WINDOW + 0.02).rate > 0


def test_idle_moments_do_not_lower_the_rate() -> None:
    pace = measured(1e6)
    before = pace.rate
    for step in range(1, 100):
        pace.sent(100)
        pace.update(3.0 + step * 0.1, busy=False)
    assert pace.rate == before


def test_a_lower_rate_is_believed_slowly() -> None:
    pace = measured(1e6)
    measured(1e5, 40 * RATE_WINDOW, pace=pace, now=3.0)
    assert pace.rate == pytest.approx(1e5, rel=0.3)


def test_a_higher_rate_is_believed_at_once() -> None:
    pace = measured(1e5)
    measured(1e6, 2.5 * RATE_WINDOW, pace=pace, now=3.0)
    assert pace.rate == pytest.approx(1e6, rel=0.15)


@given(
    looks=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1 << 40), st.booleans()), max_size=50),
)
def test_the_lookahead_always_stays_within_bounds(looks: list[tuple[float, int, bool]]) -> None:
    pace = SendRate(0.0)
    now = 0.0
    for pause, count, busy in looks:
        now += pause
        pace.sent(count)
        pace.update(now, busy=busy)
        assert pace.rate >= 0
        assert MIN_LOOKAHEAD_BYTES <= pace.lookahead() <= MAX_LOOKAHEAD_BYTES
