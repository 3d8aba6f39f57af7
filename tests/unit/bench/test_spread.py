"""Medians, spreads and how numbers are shown."""

from __future__ import annotations

import pytest

from bench.spread import Spread, format_mib, format_number, ratios, with_prefix


def test_the_median_stands_before_the_least_and_the_most() -> None:
    assert Spread.of([3.0, 1.0, 2.5]) == Spread(1.0, 2.5, 3.0)
    assert Spread.of([411.0, 398.26, 1200.4]).show() == "411 (398-1200)"


def test_nothing_measured_is_said() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_ratios_are_taken_between_neighbours_in_time() -> None:
    # Twice as fast in each pair, while the machine itself became four times slower.
    assert ratios([400.0, 200.0, 100.0], [200.0, 100.0, 50.0]) == Spread(2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="longer"):
        ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.12345, "0.123"), (12.345, "12.3"), (617.4, "617"), (12345.6, "12346")]
)
def test_numbers_have_three_digits_and_no_exponent(value: float, shown: str) -> None:
    assert format_number(value) == shown


def test_large_numbers_have_a_prefix() -> None:
    assert (with_prefix(37_240), with_prefix(1.25e6), with_prefix(999)) == ("37.2 k", "1.25 M", "999")
    assert format_mib(36 * 1048576) == "36 MiB"
