"""Durations, sizes and rates: accepted texts, and messages about all others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.runtime.units import (
    MAX_DURATION,
    UnitError,
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_quantity,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("2s", 2), ("1m", 60), ("1.5s", 1.5), ("1m30s", 90), ("1h", 3600), ("0s", 0), (" 2s ", 2)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("64B", 64),
        ("256KiB", 262_144),
        ("8MiB", 8_388_608),
        ("8 MiB", 8_388_608),
        ("8mib", 8_388_608),
        ("1.5GiB", 1_610_612_736),
        ("10MB", 10_000_000),
        ("2KB", 2000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("8mbit", 1_000_000),
        ("64kbit", 8000),
        ("1gbit", 125_000_000),
        ("8bit", 1),
        ("1MiB/s", 1_048_576),
        ("1.5 MB/s", 1_500_000),
    ],
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


DURATION = "write a number and a unit, such as `5s` or `500ms`"
DURATION_UNITS = "the units of a duration are `ms`, `s`, `m`, `h`"
SIZE = "write a number and a unit, such as `8MiB` or `100B`"
SIZE_UNITS = "the units of a size are `B`, `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB`, `GB`, `TB`"
RATE = "write a number and a unit, such as `8mbit` or `1MiB/s`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", f"`5` has no unit; write `5s` or `5ms`; {DURATION_UNITS}"),
        ("", f"`` is not a duration; {DURATION}"),
        ("-2s", "`-2s` has a sign; a duration is never negative"),
        ("-2", "`-2` is negative; write a duration, such as `5s` or `500ms`"),
        ("+2s", "`+2s` has a sign; write `2s`"),
        ("nans", f"`nans` is not a duration; {DURATION}"),
        ("2 sec", "`sec` is not a unit of a duration; did you mean `2s`?"),
        ("2 years", f"`years` is not a unit of a duration; {DURATION_UNITS}"),
        ("٣s", f"`٣s` is not a duration; {DURATION}"),
        ("2\x1b", f"`2\\x1b` is not a duration; {DURATION}"),
        ("30s1m", "`30s1m` is not a duration; write each unit once, the largest first: `1m30s`"),
        ("1s1s", "`1s1s` is not a duration; write each unit once, the largest first: `1m30s`"),
        ("9999h", "`9999h` is too long; write at most `8784h`"),
        ("x" * 50, f"`{'x' * 39}…` is not a duration; {DURATION}"),
    ],
)
def test_messages_about_durations(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=" ") as caught:
        parse_duration(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", f"`5` has no unit; write `5MiB` or `5B`; {SIZE_UNITS}"),
        ("5 apples", f"`apples` is not a unit of a size; {SIZE_UNITS}"),
        ("MiB", f"`MiB` is not a size; {SIZE}"),
        ("0.3KiB", "`0.3KiB` is not a whole number of bytes"),
        ("9999999TiB", "`9999999TiB` is too large; write at most `9223372036854775807B`"),
    ],
)
def test_messages_about_sizes(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=" ") as caught:
        parse_size(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", f"`fast` is not a rate; {RATE}"),
        ("1MiB", "`MiB` is not a unit of a rate; did you mean `1MiB/s`?"),
        ("1mb", "`mb` is not a unit of a rate; did you mean `1mbit` or `1MB/s`?"),
        ("1MB", "`MB` is not a unit of a rate; did you mean `1MB/s`?"),
        ("1bit", "`1bit` is too slow; write at least `8bit`, one byte a second"),
        ("0MiB/s", "`0MiB/s` is too slow; write at least `8bit`, one byte a second"),
        ("9999999TiB/s", "`9999999TiB/s` is too fast; write at most `9223372036854775807B/s`"),
    ],
)
def test_messages_about_rates(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=" ") as caught:
        parse_rate(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1_048_575, "1 MiB"),
        (8_388_608, "8 MiB"),
        (2**40, "1 TiB"),
    ],
)
def test_sizes_for_a_person(size: int, text: str) -> None:
    assert format_size(size) == text


def test_rates_for_a_person() -> None:
    assert format_rate(1_572_864.0) == "1.5 MiB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.5, "500ms"),
        (0.9996, "1s"),
        (1.5, "1.5s"),
        (59.96, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (3599.7, "1h"),
        (7260, "2h1m"),
        (-2, "-2s"),
    ],
)
def test_durations_for_a_person(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(min_value=0, max_value=MAX_DURATION - 60))
def test_a_formatted_duration_can_be_typed(seconds: float) -> None:
    # One decimal below a minute, whole seconds below an hour, whole minutes above.
    step = 0.05 if seconds < 60 else 0.5 if seconds < 3600 else 30
    assert abs(parse_duration(format_duration(seconds)) - seconds) <= step + 1e-6


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_with_a_message(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            value = parse(text)
        except ValueError as error:
            message = str(error)
        else:
            assert value >= 0
            continue
        assert message.isprintable()


def test_a_quantity_of_a_file_has_no_space_before_its_unit() -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity("5 s", {"s": 1}, "duration", ("5s", "500ms"))
    assert (caught.value.text, caught.value.hint) == ("`5 s` has a space before its unit", "write `5s`")
