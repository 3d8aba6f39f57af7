"""Events as lines on standard output: the one writer, and the one parser.

A line is logfmt: the time, the event's name, then ``key=value`` pairs::

    2026-11-23T12:29:11.123Z picked peer=seeder-2 address=198.18.0.4:6881 among=3

A value is bare when it has neither blanks nor ``"`` nor ``=`` and every character is printable. Any other value is a
JSON string (RFC 8259, section 7) whose unprintable characters are escaped, so that nothing from the network can act
on a terminal. :mod:`torrentnet.runtime.event_table` lists the names and the keys.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.text import escape_char

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEVELS: Final = ("info", "warning", "error")
"""From all events to the fewest."""
MAX_VALUE_CHARS: Final = 4096
"""Longer values are cut and end in ``…``: an event is a line for people, whatever a peer put into a name."""
MAX_FIELDS: Final = 64
"""Fields of a line; a line with more is not an event."""
MAX_DIGITS: Final = 18
"""Digits of a field that is read as a number."""

_CACHED: Final = 16_384
_CACHED_CHARS: Final = 64
"""Formatted texts that are cached: so many, and none longer."""
_INFO, _WARNING, _ERROR = range(3)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"[a-z_]+")
_KEY: Final = re.compile(r"[a-z_][a-z0-9_]*")
_BARE: Final = re.compile(r'[^\s"=]+')
_HEAD: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ([a-z_]{1,64})")
# Read more liberally than written: other people's programs may write events, too.
_FIELD: Final = re.compile(r' ([A-Za-z_][A-Za-z0-9_]*)=(?:([^\s"=]*)|("(?:[^"\\\x00-\x1f]|\\.)*"))(?= |$)')


@dataclass(frozen=True, slots=True)
class Event:
    """An event that a program has written."""

    name: str
    time: float
    """Seconds since the epoch: when the line was written, or arrived where the reader knows that."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """In the order of the line."""
    node: str = ""
    """The node that wrote the line, where the reader knows that."""

    def matches(self, **wanted: str) -> bool:
        """Whether every field named has that value."""
        return all(self.fields.get(key) == value for key, value in wanted.items())

    def number(self, key: str) -> int | None:
        """Return a field as a whole number; None when it is missing or not one."""
        text = self.fields.get(key, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


class EventLog:
    """Log that writes events of one level and above as lines.

    Safe to use from threads and from signal handlers. *write* gets one line without a newline
    (``Terminal.write_line``), *write_all*, if given, several lines (``Terminal.write_lines``); *clock* returns seconds
    since the epoch; *level* is one of :data:`LEVELS`. When *write* raises OSError or ValueError (standard output is
    gone), :attr:`lost` counts the line: a program does not end because nobody reads it. Raises ValueError for an
    unknown *level*.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        level: str = "info",
        *,
        write_all: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"{level!r} is not a log level: the levels are {', '.join(LEVELS)}")
        self._write = write
        self._write_all = write_all
        self._clock = clock
        self._threshold = LEVELS.index(level)
        # Re-entrant, because a signal handler may emit while the same thread is emitting.
        self._lock = threading.RLock()
        self.lost = 0
        """Lines that could not be written."""

    def emit(self, event: str, /, **fields: object) -> None:
        """Write an event at level info.

        A field that is None is left out; ``from_`` and other keywords lose their underscore. Raises ValueError when the
        name or a key has the wrong form: that is the caller's bug.
        """
        self._emit(_INFO, event, fields)

    def emit_lines(self, lines: Sequence[str]) -> None:
        """Write lines at level info that the caller has made.

        The caller makes them with :func:`format_timestamp` and :func:`format_field`.
        """
        if self._threshold > _INFO:
            return
        with self._lock:
            try:
                if self._write_all is not None:
                    self._write_all(lines)
                    return
                for line in lines:
                    self._write(line)
            except (OSError, ValueError):
                self.lost += len(lines)

    def warning(self, event: str, /, **fields: object) -> None:
        """Write an event, as :meth:`emit` does, that a person should look at."""
        self._emit(_WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Write the event that stops the work.

        The event is written as :meth:`emit` writes others, but at every level.
        """
        self._emit(_ERROR, event, fields)

    def _emit(self, level: int, event: str, fields: Mapping[str, object]) -> None:
        if level < self._threshold:
            return
        with self._lock:
            line = format_event(self._clock(), event, fields)
            try:
                self._write(line)
            except (OSError, ValueError):
                self.lost += 1


def format_event(time_s: float, event: str, fields: Mapping[str, object]) -> str:
    """Return one event line, without a newline.

    *time_s* is seconds since the epoch. Text is written as it is, booleans as ``true`` and ``false``, numbers in
    decimal without exponent, anything else by ``str()``; a None is left out. Raises ValueError for a name or a key of
    the wrong form, or a time beyond the year 9999.
    """
    if not _is_name(event):
        raise ValueError(f"{event!r} is not an event's name: small letters and underscores only")
    line = f"{_format_time(round(time_s * 1000))} {event}"
    for key, value in fields.items():
        if value is not None:
            kind = type(value)
            if kind is int:
                line += f" {_key(key)}={value}"
            elif kind is str and len(value) <= _CACHED_CHARS:  # type: ignore[arg-type]
                line += f" {_key(key)}={_format_cached(value)}"
            else:
                line += f" {_key(key)}={_format_value(value)}"
    return line


def format_timestamp(time_s: float) -> str:
    """Return seconds since the epoch as the first word of a line.

    The time is in UTC, to the millisecond.
    """
    return _format_time(round(time_s * 1000))


def format_field(text: str) -> str:
    """Return a text as the value of a field: bare, or quoted and escaped."""
    return _format_cached(text) if len(text) <= _CACHED_CHARS else _format_text(text)


def parse_event(line: str, *, node: str = "", arrived: float | None = None) -> Event | None:
    """Return the event that a line holds, or None for any other text.

    The line may be anything that a program has printed. *node* and *arrived*, seconds since the epoch on the reader's
    clock, are put into the event; without *arrived*, the event has the line's own time.
    """
    line = line.rstrip("\r\n")
    head = _HEAD.match(line)
    if head is None:
        return None
    if arrived is None:
        try:
            written = datetime.fromisoformat(head[1] + "+00:00")
        except ValueError:
            return None
        arrived = (written - _EPOCH) / timedelta(seconds=1)
    fields: dict[str, str] = {}
    position = head.end()
    while position < len(line):
        found = _FIELD.match(line, position)
        if found is None or len(fields) == MAX_FIELDS:
            return None
        try:
            fields[found[1]] = found[2] if found[3] is None else _without_surrogates(json.loads(found[3]))
        except ValueError:
            return None
        position = found.end()
    return Event(head[2], arrived, fields, node)


def _without_surrogates(text: str) -> str:
    """Escape the halves of surrogate pairs, which JSON can hold and no file can."""
    return text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode()


# A program has few names and keys, and writes many lines within a second.
@lru_cache(256)
def _is_name(event: str) -> bool:
    return _NAME.fullmatch(event) is not None


@lru_cache(256)
def _key(key: str) -> str:
    name = key.removesuffix("_")
    if not _KEY.fullmatch(name):
        raise ValueError(f"{key!r} is not a field's name: small letters, digits and underscores only")
    return name


@lru_cache(4)
def _format_second(time_s: int) -> str:
    try:
        second = _EPOCH + timedelta(seconds=time_s)
    except OverflowError:
        raise ValueError(f"{time_s!r} is beyond the year 9999") from None
    return second.replace(tzinfo=None).isoformat(timespec="seconds")


@lru_cache(4)
def _format_time(time_ms: int) -> str:
    second, millisecond = divmod(time_ms, 1000)
    return f"{_format_second(second)}.{millisecond:03}Z"


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _format_float(value)
    return _format_text(str(value))


def _format_text(text: str) -> str:
    if len(text) > MAX_VALUE_CHARS:
        text = text[: MAX_VALUE_CHARS - 1] + "…"
    if text.isprintable():
        return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else escape_char(char) for char in quoted)


# The same names come again and again.
_format_cached = lru_cache(_CACHED)(_format_text)


def _format_float(value: float) -> str:
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    return f"{value:.9f}".rstrip("0").rstrip(".")
