"""Fuzzer of every decoder: any bytes parse, or raise the decoder's one error.

``run(seconds, seed, corpus)`` mutates the valid samples of ``tests/unit/wire/decoders.py`` and the files of ``corpus``,
and gives each input to one decoder. The decoders are those of torrentnet.wire, of event lines, of console frames and of
the journal's parts.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.fuzz.common import MAX_GROWTH, MAX_SECONDS, FuzzResult, keep, mutate, peak_size, read_corpus
from tests.unit.wire import page
from tests.unit.wire.decoders import DECODERS
from torrentnet.runtime.events import parse_event
from torrentnet.tracker.journal.request_parts import pack_part, unpack_part
from torrentnet.wire.errors import MetainfoError, PeerProtocolError
from torrentnet.wire.metainfo import parse_magnet, parse_torrent
from torrentnet.wire.peer.message_reader import MessageReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WARM_UP: Final = 20_000
"""Inputs before the process's size is taken."""


class Target(NamedTuple):
    """A decoder, its one error, and valid inputs."""

    name: str
    parse: Callable[[bytes], object]
    error: type[Exception]
    samples: tuple[bytes, ...]


def _read_messages(data: bytes) -> object:
    """Read a peer's messages, in two chunks; the first byte says where to cut."""
    reader = MessageReader(1024)
    cut = data[0] if data else 0
    return [*reader.feed(data[1:cut]), *reader.feed(data[max(1, cut) :])]


def _read_line(data: bytes) -> object:
    return parse_event(data.decode("utf-8", "replace"))


def _read_magnet(data: bytes) -> object:
    return parse_magnet(data.decode("latin-1"))


_LINE: Final = b'2026-11-23T12:29:11.123Z picked peer=seeder-2 address=198.18.0.4:6881 file="a b" among=3'
_MESSAGES: Final = tuple(
    b"\x04" + example.packet for example in page.examples() if int.from_bytes(example.packet[:4], "big") < 1024
)
TARGETS: Final = (
    *(
        Target(decoder.name, decoder.parse, decoder.error, tuple(sample for sample, _ in decoder.samples))
        for decoder in DECODERS
    ),
    Target("message_reader", _read_messages, PeerProtocolError, _MESSAGES),
    Target("metainfo.parse_torrent", parse_torrent, MetainfoError, (b"d8:announce5:udp:/4:infod6:lengthi0eee",)),
    Target("metainfo.parse_magnet", _read_magnet, MetainfoError, (b"magnet:?xt=urn:btih:" + b"0" * 40 + b"&dn=a",)),
    Target("events.parse_event", _read_line, AssertionError, (_LINE,)),
    Target("request_parts.unpack_part", unpack_part, ValueError, (pack_part((), (), ()),)),
)
BY_NAME: Final = {target.name: target for target in TARGETS}


def attempt(target: Target, data: bytes) -> str:
    """Return which rule a decoder broke, or nothing."""
    try:
        target.parse(data)
    except target.error:
        return ""
    except Exception as error:
        return f"{target.name}: {type(error).__name__}: {error}"[:200]
    return ""


def run(seconds: float, seed: int, corpus: Path) -> FuzzResult:
    """Fuzz for some seconds; the same seed makes the same inputs."""
    choose = random.Random(seed)
    stored = read_corpus(corpus)
    failures: list[str] = []
    inputs = size = 0
    slowest = 0.0
    for target in TARGETS:
        for data in (*target.samples, *stored):
            inputs += 1
            if wrong := attempt(target, data):
                failures.append(f"{wrong}: {keep(corpus, 'decoder', data)}")
    end = time.monotonic() + seconds
    while True:
        if time.monotonic() >= end:
            break
        began = time.process_time()
        # Some inputs for one decoder: the clock is read once for all of them.
        target = choose.choice(TARGETS)
        samples = (*target.samples, *stored)
        for _ in range(200):
            data = mutate(choose, choose.choice(samples), samples)
            if wrong := attempt(target, data):
                failures.append(f"{wrong}: {keep(corpus, 'decoder', data)}")
        inputs += 200
        took = time.process_time() - began
        slowest = max(slowest, took)
        if took > MAX_SECONDS:
            failures.append(f"{target.name}: 200 inputs took {took:.1f} s")
        if not size and inputs >= WARM_UP:
            size = peak_size()
    growth = peak_size() - size if size else 0
    if growth > MAX_GROWTH:
        failures.append(f"the process grew by {growth >> 20} MiB")
    return FuzzResult(inputs, tuple(failures), slowest, growth)
