"""Fuzzer of the tracker as a process: no datagram ends it or makes it grow.

``run(seconds, seed, corpus)`` starts tracker.py on 127.0.0.1 and sends valid packets of every kind, with a valid
connection id, from eight addresses, most of them mutated behind the id.
"""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fuzz.common import MAX_GROWTH, FuzzResult, keep, mutate, read_corpus
from tests.hostile.tracker.rig import Target
from tests.loopback.programs import running
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupRequest, pack_lookup
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, OutcomeSource, pack_outcome
from torrentnet.wire.udp.packets import AnnounceRequest
from torrentnet.wire.udp.possession import pack_possession
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from tests.hostile.tracker.rig import Attacker

BURST: Final = 50
"""Datagrams between two answers that are waited for, so that the kernel drops none."""
WARM_UP: Final = 20_000
HEAD: Final = 8
"""Bytes of the connection id, which stays valid."""
_IDENTIFIER_LIFE: Final = 60.0
_NAMES: Final = ("a", "b.txt", "\u00dcbung.pdf", "x" * 255, "a b")


def run(seconds: float, seed: int, corpus: Path) -> FuzzResult:
    """Fuzz for some seconds; the same seed makes the same datagrams."""
    choose = random.Random(seed)
    stored = [*read_corpus(corpus), b""]
    inputs = base = 0
    slowest = 0.0
    failures: list[str] = []
    sent: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder:
        for loopback in running(Path(folder)):
            with closing(Target(loopback, "--state", Path(folder, "state"))) as target:
                attackers = [target.attacker(f"127.0.0.{host}") for host in range(2, 10)]
                identifiers: list[bytes] = []
                fresh_until, end = 0.0, time.monotonic() + seconds
                while time.monotonic() < end and not failures:
                    began = time.monotonic()
                    if began > fresh_until:
                        identifiers = [one.connection().to_bytes(8, "big") for one in attackers]
                        fresh_until = began + _IDENTIFIER_LIFE
                    which = choose.randrange(len(attackers))
                    sent = [identifiers[which] + _body(choose, stored) for _ in range(BURST)]
                    wrong = _exchange(attackers[which], sent)
                    inputs += BURST
                    slowest = max(slowest, time.monotonic() - began)
                    if not base and inputs >= WARM_UP:
                        base = target.memory()
                    if wrong or target.program.process.poll() is not None or target.program.errors:
                        failures.append(wrong or f"the tracker wrote {target.program.errors[-1:]}")
                trouble = [event.fields["reason"] for event in target.program.named("error")]
                growth = target.memory() - base if base else 0
                if trouble:
                    failures.append(f"the tracker reports: {trouble[0]}")
                if growth > MAX_GROWTH:
                    failures.append(f"the tracker grew by {growth >> 20} MiB")
                if not failures:
                    for command in (("peers",), ("status",), ("file_logs", "-all"), ("request", "logs", "--last", "9")):
                        target.run(*command)
    if failures:
        failures.append(f"the last datagrams: {keep(corpus, 'tracker', b''.join(sent))}")
    return FuzzResult(inputs, tuple(failures), slowest, growth)


def _exchange(attacker: Attacker, sent: list[bytes]) -> str:
    try:
        answers = attacker.answers(*sent)
    except TimeoutError:
        return "the tracker does not answer"
    longest = max(map(len, answers), default=0)
    return f"an answer of {longest} bytes" if longest > packets.MAX_DATAGRAM else ""


def _body(choose: random.Random, stored: list[bytes]) -> bytes:
    """Return a request without its connection id, as it should be or mutated."""
    data = _request(choose)[HEAD:]
    kind = choose.randrange(8)
    if kind < 3:
        return data
    if kind < 7:
        # Behind the action: a packet of an unknown kind is refused at once.
        return (data[:4] + mutate(choose, data[4:], (data, *stored)))[: packets.MAX_DATAGRAM + 500]
    return mutate(choose, data, (data, *stored))[: packets.MAX_DATAGRAM + 500]


def _request(choose: random.Random) -> bytes:
    tid, port = choose.getrandbits(32), choose.choice((6881, 6882, 6883, choose.randrange(1, 65_536)))
    info_hash = bytes((choose.randrange(6),)) * 20
    peer_id = b"-XT0100-" + bytes((choose.randrange(20),)) * 12
    name, number = choose.choice(_NAMES), choose.choice((0, 1, choose.randrange(3_000)))
    kind = choose.randrange(9)
    if kind < 3:
        left, event = choose.choice((0, 5, 1 << 40)), choose.randrange(5)
        pieces = choose.choice((None, 1, 1 << 14, 1 << 26))
        publication = Publication(
            choose.choice((None, name)),
            choose.choice((None, 0, 5, 1 << 30)),
            pieces,
            f"p-{port}",
            choose.random() < 0.5,
        )
        options = choose.choice((b"", pack_publication(publication)))
        want = choose.choice((-1, 0, 50, 1 << 30))
        return packets.pack_announce(
            AnnounceRequest(0, tid, info_hash, peer_id, 0, left, 0, event, 0, 9, want, port, options)
        )
    if kind == 3:
        return packets.pack_scrape(0, tid, (info_hash,) * choose.randrange(80))
    if kind < 6:
        return pack_lookup(LookupRequest(0, tid, choose.choice((0, 1, 70)), number, peer_id, port, name, f"p-{port}"))
    if kind < 8:
        size = choose.choice((1, 8, 33, 16_384, 1 << 20))
        held = PieceSet(size)
        count = min(size, 11_000)
        held.replace_window(0, PieceSet.from_bitfield(count // 8 * 8, choose.randbytes(count // 8)))
        return pack_possession(0, tid, port, info_hash, peer_id, held, choose.randrange(size - count + 1), count)
    source = OutcomeSource(Endpoint("127.0.0.2", port), number, f"p-{port}")
    result = choose.choice(tuple(OutcomeResult))
    return pack_outcome(
        OutcomeReport(0, tid, result, port, info_hash, peer_id, number, number, 9, (source,), choose.choice(("", name)))
    )
