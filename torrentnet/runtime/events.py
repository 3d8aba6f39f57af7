"""Events as lines on standard output: people read them, and the lab parses the same lines.

A line is logfmt: the time, the event's name, then ``key=value`` pairs::

    2026-11-23T12:29:11.123Z picked peer=seeder-2 address=198.18.0.4:6881 among=3

A value is bare when it has neither blanks nor ``"`` nor ``=`` and every character is printable; else it is a JSON
string (RFC 8259, section 7) whose unprintable characters are escaped, so that nothing from the network can act on
a terminal.
"""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from torrentnet.runtime.text import escape_char

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEVELS: Final = ("debug", "info", "warning", "error")
"""From the most talkative to the quietest."""
MAX_VALUE_CHARS: Final = 4096
"""Longer values are cut and end in ``…``: an event is a line to be read, whatever a peer put into a name."""

_KNOWN: Final = 16_384
_KNOWN_CHARS: Final = 64
"""Texts whose form is remembered: so many, and none longer."""
_INFO: Final = LEVELS.index("info")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"[a-z_]+")
_KEY: Final = re.compile(r"[a-z_][a-z0-9_]*")
_BARE: Final = re.compile(r'[^\s"=]+')
_HEAD: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ([a-z_]+)")
_FIELD: Final = re.compile(r' ([a-z_][a-z0-9_]*)=(?:([^\s"=]+)|("(?:[^"\\\x00-\x1f]|\\.)*"))')


class ParsedEvent(NamedTuple):
    """An event line, taken apart."""

    time_s: float
    """Seconds since the epoch, to the millisecond."""
    event: str
    fields: dict[str, str]
    """In the order of the line."""


class EventLog:
    """Writes events of one level and above as lines. Safe to use from threads and from signal handlers.

    *write* is given one line without a newline (``Terminal.write_line``), *write_all*, where there is one, several of
    them (``Terminal.write_lines``); *clock* gives seconds since the epoch; *level* is one of :data:`LEVELS`. A *write*
    that raises OSError or ValueError (standard output went away, or is closed) is counted in :attr:`lost` and
    forgotten: a program does not die because nobody reads it any more.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        level: str = "info",
        *,
        write_all: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """Raises ValueError when *level* is not one of :data:`LEVELS`."""
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
        """An event at level info. A field that is None is left out; ``from_`` and other keywords lose their underscore.

        Raises ValueError when the event's name or a key is not of the allowed form: that is the caller's bug.
        """
        if self._threshold <= _INFO:
            self._tell(event, fields)

    info = emit

    def emit_lines(self, lines: Sequence[str]) -> None:
        """Events at level info that the caller has made lines of, with :func:`stamp` and :func:`shown`."""
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

    def debug(self, event: str, /, **fields: object) -> None:
        """As :meth:`emit`, shown at level debug only."""
        self._emit(0, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """As :meth:`emit`, for what a person should look at."""
        self._emit(2, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """As :meth:`emit`, for what stops the work. Shown at every level."""
        self._emit(3, event, fields)

    def _emit(self, level: int, event: str, fields: Mapping[str, object]) -> None:
        if level >= self._threshold:
            self._tell(event, fields)

    def _tell(self, event: str, fields: Mapping[str, object]) -> None:
        with self._lock:
            line = format_event(self._clock(), event, fields)
            try:
                self._write(line)
            except (OSError, ValueError):
                self.lost += 1


def format_event(time_s: float, event: str, fields: Mapping[str, object]) -> str:
    """One event line, without a newline.

    *time_s* is seconds since the epoch. Values are text as it is, booleans ``true`` and ``false``, numbers in decimal
    without exponent, anything else by ``str()``; None leaves its field out. Raises ValueError for a name or key of the
    wrong form, or a time beyond the year 9999.
    """
    if not _is_name(event):
        raise ValueError(f"{event!r} is not an event's name: small letters and underscores only")
    line = f"{_format_time(round(time_s * 1000))} {event}"
    for key, value in fields.items():
        if value is not None:
            kind = type(value)
            if kind is int:
                line += f" {_key(key)}={value}"
            elif kind is str and len(value) <= _KNOWN_CHARS:  # type: ignore[arg-type]
                line += f" {_key(key)}={_format_known(value)}"
            else:
                line += f" {_key(key)}={_format_value(value)}"
    return line


def format_timestamp(time_s: float) -> str:
    """The first word of an event line: the time, which is seconds since the epoch."""
    return _format_time(round(time_s * 1000))


def format_field(text: str) -> str:
    """A text as the value of a field: bare, or quoted and escaped."""
    return _format_known(text) if len(text) <= _KNOWN_CHARS else _format_text(text)


def parse_event(line: str) -> ParsedEvent | None:
    """What :func:`format_event` wrote, or None for any other text."""
    line = line.rstrip("\r\n")
    head = _HEAD.match(line)
    if head is None:
        return None
    try:
        moment = datetime.fromisoformat(head[1] + "+00:00")
    except ValueError:
        return None
    fields: dict[str, str] = {}
    at = head.end()
    while at < len(line):
        found = _FIELD.match(line, at)
        if found is None:
            return None
        if found[3] is None:
            fields[found[1]] = found[2]
        else:
            try:
                fields[found[1]] = json.loads(found[3])
            except ValueError:
                return None
        at = found.end()
    return ParsedEvent((moment - _EPOCH) / timedelta(seconds=1), head[2], fields)


# A program has few names and keys, and writes many lines within a second: what they look like is remembered.
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
        moment = _EPOCH + timedelta(seconds=time_s)
    except OverflowError:
        raise ValueError(f"{time_s!r} is not a time of our calendar") from None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


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
_format_known = lru_cache(_KNOWN)(_format_text)


def _format_float(value: float) -> str:
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    return f"{value:.9f}".rstrip("0").rstrip(".")
