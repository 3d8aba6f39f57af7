"""Counts the lines of a node's log that an expectation is about, as they come.

A log may be long and memory is bounded: what is kept of a line that counts is its time, and of the last one its text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.lab.engines.types import LogLine
    from torrentnet.lab.events import Event
    from torrentnet.lab.scenario.plan import LogPattern

MAX_TIMES = 100_000
"""Of each tally; of more lines the first ones are counted and their times forgotten."""
MAX_TEXT = 400
"""Characters of the last line."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """How many lines there are in a span of time."""

    number: int
    times: tuple[float, ...]
    """Of the first and of the last of them, in seconds since the epoch; empty where there is none."""
    last_text: str
    """The last line that was printed at all."""


class LineCounter:
    """The lines of one node that match a pattern. Not thread-safe: the board that has it is."""

    def __init__(self, pattern: LogPattern) -> None:
        self._pattern = pattern
        self._times: deque[float] = deque(maxlen=MAX_TIMES)
        self._forgotten = 0
        self._last_text = ""

    def take(self, line: LogLine, event: Event | None) -> None:
        """Count a line if it matches."""
        if not line_matches(self._pattern, line.text, event):
            return
        self._forgotten += len(self._times) == MAX_TIMES
        self._times.append(line.time)
        self._last_text = line.text[:MAX_TEXT]

    def count(self, since: float, until: float) -> LineCount:
        """The lines from ``since`` up to ``until``, in seconds since the epoch.

        Lines whose time is forgotten count as if they were in time.
        """
        # A deque is searched slowly in its middle; these are looked for only when something has come in.
        times = list(self._times)
        first, behind = bisect_left(times, since), bisect_right(times, until)
        inside = times[first:behind]
        number = len(inside) + (self._forgotten if first == 0 else 0)
        return LineCount(number, (inside[0], inside[-1]) if inside else (), self._last_text)

    def nth(self, number: int, since: float) -> float | None:
        """The time of the so many-th line (from 1) since then; None where there are fewer, or it is forgotten."""
        times = list(self._times)
        index = bisect_left(times, since) + number - 1
        if index == number - 1:
            index -= self._forgotten
        return times[index] if 0 <= index < len(times) else None


def line_matches(pattern: LogPattern, text: str, event: Event | None) -> bool:
    """Whether a line is one of those that are meant."""
    if pattern.event is None:
        return (pattern.text or "") in text
    return event is not None and event.name == pattern.event and event.matches(**dict(pattern.fields))


def describe_pattern(pattern: LogPattern) -> str:
    """The pattern as a person would say it: ``the text `x```, ``the event bad_piece peer=bad``."""
    if pattern.event is None:
        return f"the text `{pattern.text}`"
    return " ".join(["the event", pattern.event, *(f"{key}={value}" for key, value in pattern.fields)])
