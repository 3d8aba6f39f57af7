"""Event lines are read as the contract has them; anything else is text and harms nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.events import MAX_FIELDS, parse, show_time

TIME = "2026-11-23T12:29:11.123Z"


def test_an_event() -> None:
    event = parse("leecher-1", 5.0, f"{TIME} picked peer=seeder-2 address=198.18.0.4:6881 among=3")
    assert event is not None
    assert (event.node, event.time, event.name) == ("leecher-1", 5.0, "picked")
    assert event.fields == {"peer": "seeder-2", "address": "198.18.0.4:6881", "among": "3"}
    assert event.number("among") == 3
    assert event.number("peer") is None
    assert event.number("nothing") is None
    assert event.matches(peer="seeder-2", among="3")
    assert not event.matches(peer="seeder-1")


def test_quoted_values() -> None:
    event = parse("n", 0.0, TIME + r' failed file="two words.bin" reason="he said \"no\" = é\n" empty=')
    assert event is not None
    assert event.fields == {"file": "two words.bin", "reason": 'he said "no" = é\n', "empty": ""}


def test_an_event_without_fields() -> None:
    event = parse("n", 0.0, f"{TIME} tracker_silent")
    assert event is not None
    assert event.fields == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Traceback (most recent call last):",
        "picked peer=seeder-2",
        f"{TIME}",
        f"{TIME} ",
        f"{TIME} Picked peer=x",
        f"{TIME} picked  peer=x",
        f"{TIME} picked peer",
        f"{TIME} picked peer=a b",
        f'{TIME} picked peer="a',
        f'{TIME} picked peer="a"b',
        f'{TIME} picked peer="\\q"',
        f"{TIME} picked =x",
        f" {TIME} picked peer=x",
        "2026-11-23 12:29:11 picked peer=x",
        TIME + " picked " + " ".join(f"k{index}=1" for index in range(MAX_FIELDS + 1)),
    ],
)
def test_what_is_no_event(text: str) -> None:
    assert parse("n", 0.0, text) is None


@given(st.text())
def test_nothing_harms(text: str) -> None:
    parse("n", 0.0, text)
    parse("n", 0.0, f"{TIME} picked {text}")


def test_times_are_written_as_they_are_read() -> None:
    assert show_time(0.1234) == "1970-01-01T00:00:00.123Z"
