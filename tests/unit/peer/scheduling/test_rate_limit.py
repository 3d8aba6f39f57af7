"""The upload limit keeps its rate over any time, without large bursts."""

from __future__ import annotations

import random

import pytest

from torrentnet.peer.scheduling.rate_limit import MIN_PAUSE, UNLIMITED_BUDGET, RateLimit


def test_without_a_rate_nothing_is_limited() -> None:
    limit = RateLimit(None, 0.0)
    limit.spend(1 << 40)
    assert limit.budget(0.0) == UNLIMITED_BUDGET
    assert limit.pause() == 0.0


@pytest.mark.parametrize("rate", [1_000.0, 65_536.0, 1_048_576.0, 100e6])
def test_the_rate_is_kept(rate: float) -> None:
    limit = RateLimit(rate, 0.0)
    now, sent, most = 0.0, 0, 0
    while now < 20.0:
        budget = limit.budget(now)
        most = max(most, budget)
        limit.spend(budget)
        sent += budget
        assert limit.pause() >= MIN_PAUSE
        now += limit.pause()
    assert sent <= rate * now + max(rate * 0.05, 4_096)
    assert sent >= rate * (now - 0.1) * 0.97
    assert most <= max(rate * 0.05, 4_096)


def test_sending_too_much_is_made_up_for() -> None:
    limit = RateLimit(1_000.0, 0.0)
    limit.spend(5_000)
    assert limit.budget(1.0) == 0
    assert limit.pause() == pytest.approx(4.0)
    assert limit.budget(4.9) == 0
    assert limit.budget(5.5) == 500


def test_idle_time_does_not_accumulate_tokens() -> None:
    limit = RateLimit(1_000_000.0, 0.0)
    assert limit.budget(3_600.0) == 50_000


def test_connections_share_one_limit() -> None:
    rng = random.Random(1)
    limit = RateLimit(200_000.0, 0.0)
    now, sent = 0.0, 0
    while now < 30.0:
        part = min(limit.budget(now), rng.randrange(1, 20_000))
        limit.spend(part)
        sent += part
        now += rng.uniform(0.0, 0.004)
    assert sent == pytest.approx(200_000 * 30, rel=0.03)
