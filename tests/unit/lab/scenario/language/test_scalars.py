from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.scenario.language.scalars import (
    DURATION_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)
from torrentnet.runtime.units import UnitError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("500ms", 0.5), ("2.5s", 2.5), ("0.001s", 0.001), ("1m", 60), ("1.5m", 90), ("24h", 86400)],
)
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert re.fullmatch(DURATION_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1B", 1), ("256KiB", 2**18), ("8MiB", 2**23), ("1GiB", 2**30), ("5MB", 5_000_000), ("1.5KiB", 1536)],
)
def test_sizes_are_parsed(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert re.fullmatch(SIZE_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "bits", "written"),
    [
        ("8mbit", 8_000_000, "8mbit"),
        ("64kbit", 64_000, "64kbit"),
        ("1MiB/s", 8 * 2**20, "1MiB/s"),
        ("1.5mbit", 1_500_000, "1500kbit"),
        ("0.5KiB/s", 4096, "4096bit"),
    ],
)
def test_rates_are_parsed(text: str, bits: int, written: str) -> None:
    rate = parse_rate(text)
    assert (rate.bits, rate.text) == (bits, written)
    assert re.fullmatch(RATE_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1:30", "yes", "0x10s", "1e3ms", "+5s", "-5s", "5 s", "٥s", "5s\n", "infs", "nans"]
)
def test_other_texts_are_not_durations(text: str) -> None:
    with pytest.raises(UnitError):
        parse_duration(text)
    assert not re.fullmatch(DURATION_PATTERN, text)


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_a_described_error(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        said = None
        try:
            parse(text)
        except UnitError as error:
            said = error.text
        assert said != ""


@given(st.integers(0, 86_400_000))
def test_formatted_durations_parse_to_the_same_value(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 2**36))
def test_formatted_sizes_parse_to_the_same_value(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0s"), (0.5, "500ms"), (2.5, "2.5s"), (90, "90s")])
def test_durations_are_formatted_exactly(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown
