"""Lines of a log are counted as they arrive."""

from __future__ import annotations

import pytest

from torrentnet.lab.engines.types import LogLine
from torrentnet.lab.run.facts import line_counter
from torrentnet.lab.run.facts.line_counter import LineCounter, describe_pattern, line_matches
from torrentnet.lab.run.facts.line_reader import LineReader
from torrentnet.lab.scenario.plan.expectations import LogPattern
from torrentnet.runtime.events import parse_event

STAMP = "2026-11-23T12:29:11.123Z"


def feed(counted: LineCounter, *times: float, text: str = f"{STAMP} bad_piece peer=bad piece=3") -> None:
    for time in times:
        counted.add(LineReader().read(LogLine("n", time, text)))


@pytest.mark.parametrize(
    ("pattern", "yes"),
    [
        (LogPattern(text="peer=bad"), True),
        (LogPattern(text="12:29:11"), True),
        (LogPattern(text="good"), False),
        (LogPattern(event="bad_piece"), True),
        (LogPattern(event="bad"), False),
        (LogPattern(event="bad_piece", fields=(("peer", "bad"), ("piece", "3"))), True),
        (LogPattern(event="bad_piece", fields=(("peer", "ba"),)), False),
    ],
)
def test_which_lines_match(pattern: LogPattern, yes: bool) -> None:
    text = f"{STAMP} bad_piece peer=bad piece=3"
    assert line_matches(pattern, text, parse_event(text, node="n", arrived=1.0)) is yes


def test_text_that_reads_like_an_event_is_not_one() -> None:
    text = "it said: bad_piece peer=bad"
    assert not line_matches(LogPattern(event="bad_piece"), text, parse_event(text, node="n", arrived=1.0))
    assert line_matches(LogPattern(text="bad_piece"), text, None)


def test_lines_are_counted_in_an_interval() -> None:
    counted = LineCounter(LogPattern(event="bad_piece"))
    feed(counted, 1.0, 2.0, 3.0)
    feed(counted, 2.5, text="nothing of the kind")
    assert counted.count(0.0, 9.0).number == 3
    assert counted.count(2.0, 3.0).number == 2
    assert counted.count(2.0, 2.9).times == (2.0, 2.0)
    assert counted.count(4.0, 9.0).times == ()
    assert (counted.nth(1, 0.0), counted.nth(2, 1.5), counted.nth(4, 0.0)) == (1.0, 3.0, None)


def test_memory_is_bounded_and_the_count_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_counter, "MAX_TIMES", 4)
    counted = LineCounter(LogPattern(event="bad_piece"))
    feed(counted, *map(float, range(1, 11)))
    assert counted.count(0.0, 99.0).number == 10
    assert counted.count(8.0, 99.0).number == 3
    assert counted.nth(9, 0.0) == 9.0
    assert counted.nth(2, 0.0) is None


def test_patterns_are_described_for_people() -> None:
    assert describe_pattern(LogPattern(text="no seed")) == "the text `no seed`"
    assert describe_pattern(LogPattern(event="picked", fields=(("peer", "a"),))) == "the event picked peer=a"
