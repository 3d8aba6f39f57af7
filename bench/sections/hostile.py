"""Honest service of the tracker beside attacks, compared with the service alone.

The tracker and the attackers are processes on 127.0.0.1. One honest peer sends look-ups and outcomes, one after the
other.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from bench import ROOT
from bench.programs.tracker_attack import ATTACKS
from bench.rig.watched_process import WatchedProcess
from bench.section import SectionResult, Table
from bench.spread import Spread, ratios
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupRequest, pack_lookup
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, pack_outcome

if TYPE_CHECKING:
    from bench.section import Context

NAME: Final = "hostile"
TITLE: Final = "The tracker beside attacks"
SECONDS: Final = 3.0
QUICK_SECONDS: Final = 1.5
_PEER_ID: Final = b"-XT0100-honest......"
_RESULT_NOTE: Final = (
    "Medians, with least and most; the ratio is that to the service alone just before. The attacks come from one"
    " address: 124 possession reports a second of alternating pieces of a million, else 2,000 datagrams a second."
)


def measure(context: Context) -> SectionResult:
    """Measure the rate of look-ups and outcomes alone, and beside each attack."""
    seconds = QUICK_SECONDS if context.quick else SECONDS
    rows: list[tuple[str, ...]] = []
    raw: dict[str, object] = {}
    for kind in ATTACKS:
        context.say(f"{NAME}: {kind}")
        alone: list[float] = []
        beside: list[float] = []
        for _ in range(context.runs):
            words = [sys.executable, str(ROOT / "tracker.py"), "127.0.0.1:0", "--state", str(context.workdir / kind)]
            with WatchedProcess("tracker", words, cwd=ROOT) as tracker:
                alone.append(_rate(tracker.address, seconds))
                attack = [
                    sys.executable,
                    "-m",
                    "bench.programs.tracker_attack",
                    kind,
                    tracker.address,
                    str(seconds + 1),
                ]
                with WatchedProcess("attack", attack, cwd=ROOT):
                    time.sleep(0.7)  # the attacker starts
                    beside.append(_rate(tracker.address, seconds))
        raw[kind] = {"alone": alone, "beside": beside}
        rows.append((kind, Spread.of(alone).show(), Spread.of(beside).show(), ratios(beside, alone).show(2)))
    columns = ("attack", "requests/s alone", "requests/s beside it", "ratio")
    return SectionResult(
        (Table("Look-ups and outcomes of an honest peer", columns, tuple(rows), _RESULT_NOTE),), raw=raw
    )


def _rate(address: str, seconds: float) -> float:
    """Return the answered requests a second of one honest peer."""
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.9", 0))
        sock.connect((host, int(port)))
        sock.settimeout(30)
        sock.send(packets.pack_connect(1))
        connection = int.from_bytes(sock.recv(100)[8:16], "big")
        began = time.monotonic()
        answered = 0
        tid = int(began * 1000) & 0x7FFFFFFF
        while time.monotonic() - began < seconds:
            tid += 2
            sock.send(pack_lookup(LookupRequest(connection, tid, 0, 0, _PEER_ID, 6881, "honest.txt", "honest")))
            number = int.from_bytes(sock.recv(2048)[12:16], "big")
            result = OutcomeResult.FAILED
            sock.send(
                pack_outcome(
                    OutcomeReport(connection, tid + 1, result, 6881, bytes(20), _PEER_ID, number, 0, 1, (), "")
                )
            )
            sock.recv(2048)
            answered += 2
        return answered / (time.monotonic() - began)
