"""Counter of the lines of a node's log that match an expectation's pattern.

Lines are counted as they arrive. Memory is bounded however long a log is: kept are the newest matching lines' times,
and the last line's text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torrentnet.lab.run.facts.line_reader import ReadLine
    from torrentnet.lab.scenario.plan.expectations import LogPattern
    from torrentnet.runtime.events import Event

MAX_TIMES: Final = 100_000
"""Times kept by a counter. Beyond that the oldest lines are still counted, without their times."""
MAX_TEXT: Final = 400
"""Characters kept of the last line."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """The matching lines in an interval."""

    number: int
    times: tuple[float, ...]
    """Times of the first and the last line, in seconds since the epoch; empty where no line matches."""
    last_text: str
    """The last matching line of the whole log."""


class LineCounter:
    """The lines of one node that match a pattern.

    Not thread-safe: :class:`LabState` locks.
    """

    def __init__(self, pattern: LogPattern) -> None:
        self._pattern = pattern
        self._times: deque[float] = deque(maxlen=MAX_TIMES)
        self._dropped = 0
        self._last_text = ""

    def add(self, read: ReadLine) -> None:
        """Count a line if it matches."""
        if not line_matches(self._pattern, read.words, read.event):
            return
        self._dropped += len(self._times) == MAX_TIMES
        self._times.append(read.line.time)
        self._last_text = (read.line.text if read.words is None else read.words)[:MAX_TEXT]

    def count(self, since: float, until: float) -> LineCount:
        """Count the lines from ``since`` to ``until``, both included.

        Times are seconds since the epoch. Lines whose time was dropped count as if they were in the interval.
        """
        # Searching a deque in its middle is slow, and a count is requested only after a change.
        times = list(self._times)
        first, behind = bisect_left(times, since), bisect_right(times, until)
        inside = times[first:behind]
        number = len(inside) + (self._dropped if first == 0 else 0)
        return LineCount(number, (inside[0], inside[-1]) if inside else (), self._last_text)

    def nth(self, number: int, since: float) -> float | None:
        """Return the time of the n-th matching line since a time, counted from 1.

        None where the time is unknown.
        """
        times = list(self._times)
        index = bisect_left(times, since) + number - 1
        if index == number - 1:
            index -= self._dropped
        return times[index] if 0 <= index < len(times) else None


def line_matches(pattern: LogPattern, words: str | None, event: Event | None) -> bool:
    """Return whether a line of a log matches a pattern.

    ``words`` is what the log shows, None for nothing; ``event`` is the line as an event, if it is one.
    """
    if pattern.event is None:
        return words is not None and (pattern.text or "") in words
    return event is not None and event.name == pattern.event and event.matches(**dict(pattern.fields))


def describe_pattern(pattern: LogPattern) -> str:
    """Return the pattern in words for a person.

    Examples are ``the text `x``` and ``the event bad_piece peer=bad``.
    """
    if pattern.event is None:
        return f"the text `{pattern.text}`"
    return " ".join(["the event", pattern.event, *(f"{key}={value}" for key, value in pattern.fields)])
