"""What the fuzzers share: their result, and mutations of bytes."""

from __future__ import annotations

import hashlib
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

MAX_SECONDS: Final = 5.0
"""For one input, on a machine under load; the usual is some microseconds."""
MAX_GROWTH: Final = 128 * 1024 * 1024
"""Bytes by which a process may grow after its first inputs."""

_EDGES: Final = tuple(
    number.to_bytes(size, "big")
    for size in (1, 2, 4, 8)
    for number in {0, 1, 2, 127, 128, 255, (1 << 8 * size) - 1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1}
    if number < 1 << 8 * size
)


@dataclass(frozen=True, slots=True)
class FuzzResult:
    """What a fuzzer has done."""

    inputs: int
    failures: tuple[str, ...] = ()
    """One line for each input that broke a rule, with the file that has it."""
    slowest: float = 0.0
    """Seconds of the slowest input."""
    growth: int = 0
    """Bytes by which the process grew after the first inputs."""
    note: str = ""
    """How the inputs were made, where that may differ."""


def mutate(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return ``data`` with some changes; ``others`` are inputs to take parts of."""
    for _ in range(choose.choice((1, 1, 1, 2, 4))):
        kind = choose.randrange(7)
        at = choose.randrange(len(data) + 1)
        if kind == 0 and data:
            at %= len(data)
            data = data[:at] + bytes((data[at] ^ 1 << choose.randrange(8),)) + data[at + 1 :]
        elif kind == 1:
            edge = choose.choice(_EDGES)
            data = data[:at] + edge + data[at + len(edge) :]
        elif kind == 2:
            data = data[:at] + choose.randbytes(choose.choice((1, 2, 4, 20))) + data[at:]
        elif kind == 3:
            data = data[:at] + data[at + choose.choice((1, 2, 4, 20)) :]
        elif kind == 4:
            data = data[:at]
        elif kind == 5:
            other = choose.choice(others)
            start = choose.randrange(len(other) + 1)
            data = data[:at] + other[start : start + choose.randrange(40)] + data[at:]
        else:
            size = choose.choice((1, 4, 8, 20))
            data = data[:at] + data[at : at + size] * choose.choice((2, 3, 50)) + data[at + size :]
    return data


def read_corpus(corpus: Path) -> list[bytes]:
    """Return the stored inputs of a fuzzer."""
    return [path.read_bytes() for path in sorted(corpus.iterdir()) if path.is_file()] if corpus.is_dir() else []


def keep(corpus: Path, name: str, data: bytes) -> Path:
    """Store an input that broke a rule, and return its file."""
    corpus.mkdir(parents=True, exist_ok=True)
    path = corpus / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    return path


def peak_size() -> int:
    """Return the largest number of bytes in memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
