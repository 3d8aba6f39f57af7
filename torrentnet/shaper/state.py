"""The desired state of the shaper, as lines of text.

The state says what happens to the packets of each queue.

    seed 7
    queue 4 delay=20ms jitter=5ms
    queue 5 delay=100ms corruption=1% duplication=0.5% reordering=2%

A queue that is not named releases everything at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from torrentnet.shaper.errors import InvalidStateError

MAX_DELAY_NS: Final = 5_000_000_000
"""Waiting packets occupy memory: 5 s at 20 Mbit/s are some 8,500 packets."""
MAX_PATIENCE_NS: Final = 1_000_000
MAX_QUEUES: Final = 4096
MAX_QUEUE_NUMBER: Final = 65535
MAX_STATE_BYTES: Final = 512 * 1024
DURATIONS: Final = ("delay", "jitter")
SHARES: Final = ("corruption", "duplication", "reordering")
_UNITS_NS: Final = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_AMOUNT: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(us|ms|s|%)", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class QueueImpairment:
    """What happens to each packet of a queue, as in netem."""

    delay_ns: int = 0
    jitter_ns: int = 0
    """Each packet's delay is uniform from delay - jitter to delay + jitter, not below 0: some packets overtake."""
    corruption: float = 0.0
    """Share (0 to 1) of packets with one bit flipped behind the IP header; the receiver's checksum detects it."""
    duplication: float = 0.0
    """Share of packets that arrive twice; the copy has a delay of its own."""
    reordering: float = 0.0
    """Share of packets that overtake others: they are not delayed at all."""

    @property
    def needs_bytes(self) -> bool:
        """Whether the packets' bytes are needed, and not only their numbers."""
        return self.corruption > 0 or self.duplication > 0


NO_IMPAIRMENT: Final = QueueImpairment()


@dataclass(frozen=True, slots=True)
class ShaperState:
    """The desired state of a node's shaper."""

    queues: Mapping[int, QueueImpairment] = field(default_factory=dict)
    seed: int = 0
    """Together with the packets' order it decides all random choices."""

    @property
    def patience_ns(self) -> int:
        """How long after its arrival a packet may be received without being released late."""
        soonest = min((0 if i.reordering else i.delay_ns - i.jitter_ns for i in self.queues.values()), default=0)
        return max(0, min(MAX_PATIENCE_NS, soonest // 2))


def parse_state(text: str) -> ShaperState:
    """Parse a state. Raises InvalidStateError with the line's number."""
    queues: dict[int, QueueImpairment] = {}
    seed = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if words[0] == "seed" and len(words) == 2:
            seed = _integer(words[1], (1 << 63) - 1, number)
        elif words[0] == "queue" and len(words) >= 2:
            queue = _integer(words[1], MAX_QUEUE_NUMBER, number)
            if queue in queues:
                raise InvalidStateError(f"line {number}: queue {queue} is named twice")
            if len(queues) == MAX_QUEUES:
                raise InvalidStateError(f"line {number}: more than {MAX_QUEUES} queues")
            queues[queue] = _impairment(words[2:], number)
        else:
            raise InvalidStateError(
                f"line {number}: expected `queue NUMBER delay=20ms ...` or `seed NUMBER`, not {line.strip()[:60]!r}"
            )
    return ShaperState(queues, seed)


def format_state(state: ShaperState) -> str:
    """Return the text of a state, one queue a line in the order of their numbers."""
    lines = [f"seed {state.seed}"]
    lines += [f"queue {queue} {format_impairment(state.queues[queue])}".rstrip() for queue in sorted(state.queues)]
    return "\n".join(lines) + "\n"


def format_impairment(impairment: QueueImpairment) -> str:
    """Format an impairment as text, for example ``delay=20ms jitter=5ms``.

    The text is empty where there is no impairment.
    """
    times = ((name, getattr(impairment, f"{name}_ns")) for name in DURATIONS)
    shares = ((name, getattr(impairment, name)) for name in SHARES)
    words = [f"{name}={_decimal(Fraction(time, 1_000_000))}ms" for name, time in times if time]
    words += [f"{name}={_decimal(Fraction(repr(float(share))) * 100)}%" for name, share in shares if share]
    return " ".join(words)


def _impairment(words: list[str], line: int) -> QueueImpairment:
    fields: dict[str, Any] = {}
    for word in words:
        name, _, amount = word.partition("=")
        if name not in (*DURATIONS, *SHARES):
            known = ", ".join((*DURATIONS, *SHARES))
            raise InvalidStateError(f"line {line}: {word[:40]!r} is not one of {known}")
        field_name = f"{name}_ns" if name in DURATIONS else name
        if field_name in fields:
            raise InvalidStateError(f"line {line}: {name} is named twice")
        fields[field_name] = (_duration if name in DURATIONS else _share)(name, amount, line)
    return QueueImpairment(**fields)


def _integer(word: str, largest: int, line: int) -> int:
    if not _NUMBER.fullmatch(word) or int(word) > largest:
        raise InvalidStateError(f"line {line}: {word[:40]!r} is not a whole number from 0 to {largest}")
    return int(word)


def _duration(name: str, amount: str, line: int) -> int:
    match = _AMOUNT.fullmatch(amount)
    if match is None or match[2] == "%":
        raise InvalidStateError(
            f"line {line}: {name}={amount[:40]}: a duration has its unit (us, ms, s), as in {name}=20ms"
        )
    value = int(Fraction(match[1]) * _UNITS_NS[match[2]])
    if value > MAX_DELAY_NS:
        raise InvalidStateError(
            f"line {line}: {name}={amount}: more than {MAX_DELAY_NS // 1_000_000_000} s is not supported"
        )
    return value


def _share(name: str, amount: str, line: int) -> float:
    match = _AMOUNT.fullmatch(amount)
    if match is None or match[2] != "%" or Fraction(match[1]) > 100:
        raise InvalidStateError(f"line {line}: {name}={amount[:40]}: a share is written from 0% to 100%")
    return float(Fraction(match[1]) / 100)


def _decimal(value: Fraction) -> str:
    return f"{float(value):.9f}".rstrip("0").rstrip(".")
