"""When lines of a container's log may be lost unseen."""

from __future__ import annotations

from torrentnet.lab.engines.docker.logs.unread import UnreadEstimate

MIB = 2**20


def losses(rate: float, lag: float, *, limit: int = 8 * MIB, seconds: float = 5.0) -> int:
    """Return how often a loss is reported.

    Lines have 1,000 bytes, are printed at a rate, and each is read so late.
    """
    estimate, lost = UnreadEstimate(limit), 0
    for number in range(int(seconds * rate / 1000)):
        printed = number * 1000 / rate
        lost += estimate.exceeds_limit(printed, printed + lag, 1000)
    return lost


def test_a_flood_that_is_read_late_may_have_lost_lines() -> None:
    assert losses(20 * MIB, 1.0) == 1


def test_a_flood_that_is_read_at_once_has_lost_none() -> None:
    assert losses(20 * MIB, 0.01) == 0


def test_an_ordinary_node_on_a_busy_machine_has_lost_none() -> None:
    assert losses(20_000, 20.0) == 0


def test_without_a_limit_nothing_is_removed() -> None:
    assert losses(20 * MIB, 10.0, limit=0) == 0
