"""A peer's list of pieces is read as it was written, and garbage is skipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.run.facts.arrivals import MAX_RUN, Arrival, arrivals
from torrentnet.peer.response_log import ResponseLog
from torrentnet.peer.strategies.report import DownloadReport
from torrentnet.runtime.events import MAX_VALUE_CHARS, Event, format_event, parse_event
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.lookup import LookupHolder

HOLDERS = [LookupHolder(Endpoint(f"198.18.0.{number}", 6881), f"seeder-{number}") for number in range(3, 6)]
EXAMPLE = "198.18.0.3:6881/0@240,1-3@239,7;198.18.0.4:6881/4@10"


def reported(pieces: list[tuple[int, int, float]]) -> list[Event]:
    """Return the progress events of a peer that verified these pieces."""
    lines: list[str] = []
    report = DownloadReport(
        "a b.txt", lambda name, **fields: lines.append(format_event(100.0, name, fields)), ResponseLog(lambda: 0.0)
    )
    for holder, piece, moment in pieces:
        report.piece_verified(HOLDERS[holder], piece, 1, 0.0, moment)
    report.flush_progress(PieceSet(1_000_000), 1, now=100.0)
    return [event for line in lines if (event := parse_event(line)) is not None]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 999_999), st.floats(90.0, 100.0)), max_size=50))
def test_every_piece_is_read_with_its_source_and_time(pieces: list[tuple[int, int, float]]) -> None:
    found = [arrival for event in reported(pieces) for arrival in arrivals(event)]
    assert sorted(found, key=repr) == sorted(
        (
            Arrival(piece, str(HOLDERS[holder].endpoint), 100.0 - round((100.0 - moment) * 1000) / 1000)
            for holder, piece, moment in pieces
        ),
        key=repr,
    )


def test_a_long_list_is_split_into_lines_with_the_same_counts() -> None:
    pieces = [(piece % 3, piece * 7 % 10_000, 99.0 + piece / 10_000) for piece in range(10_000)]
    events = reported(pieces)
    assert len(events) > 10
    assert all(len(event.fields["arrived"]) < MAX_VALUE_CHARS for event in events)
    assert {tuple(event.fields)[-1] for event in events} == {"arrived"}
    assert {event.fields["bytes"] for event in events} == {"10000"}
    found = [arrival for event in events for arrival in arrivals(event)]
    assert sorted(arrival.piece for arrival in found) == list(range(10_000))


def test_the_example_of_the_docstring() -> None:
    found = list(arrivals(Event("progress", 10.0, {"arrived": EXAMPLE})))
    assert [(arrival.piece, arrival.address, round(10.0 - arrival.time, 3)) for arrival in found] == [
        (0, "198.18.0.3:6881", 0.24),
        *((piece, "198.18.0.3:6881", 0.239) for piece in (1, 2, 3, 7)),
        (4, "198.18.0.4:6881", 0.01),
    ]


@pytest.mark.parametrize(
    "text",
    ["", ";", "/", "a", "a/", "a/x", "a/-1", "a/1-", "a/2-1", f"a/1-{MAX_RUN + 1}", "a/1@", "a/1@-5", "a/99999999999"],
)
def test_a_text_of_another_form_lists_nothing(text: str) -> None:
    assert list(arrivals(Event("progress", 10.0, {"arrived": text}))) == []


def test_other_events_and_old_records_list_nothing() -> None:
    assert list(arrivals(Event("picked", 10.0, {"arrived": EXAMPLE}))) == []
    assert list(arrivals(Event("progress", 10.0, {"have": "1"}))) == []
