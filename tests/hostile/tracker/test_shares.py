"""A few addresses never have all: each limit leaves room for an honest peer."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tests.unit.tracker.world import HASH, OTHER_HASH, PIECE, SIZE, TrackerError
from torrentnet.tracker.journal.line_budget import MAX_BYTES_PER_IP, PERIOD_MS
from torrentnet.wire.piece_set import MAX_WINDOW, PieceSet
from torrentnet.wire.udp.packets import AnnounceEvent
from torrentnet.wire.udp.possession import pack_possession
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from tests.hostile.tracker.rig import Target

MIB = 1024 * 1024
NAMED = b"named" * 4


def test_two_announces_do_not_spoil_a_file(target: Target) -> None:
    """A client publishes its size, and another a piece length of one byte."""
    for port, size, piece in ((1, 1 << 62, None), (2, None, 1), (3, SIZE, 1 << 14)):
        options = pack_publication(Publication("spoilt", size, piece))
        target.client("x", port=port, extended=False).announce(AnnounceEvent.STARTED, options=options)
    found = target.client("leecher", "127.0.0.2").lookup("spoilt")
    assert (found.size, found.piece_length) == (1 << 62, 0)


def test_name_of_another_peer_keeps_its_address(target: Target) -> None:
    """A leecher joins and leaves as seeder-1, which lives."""
    target.client("seeder-1", "127.0.0.3").announce(AnnounceEvent.STARTED, info_hash=NAMED, name="named")
    liar = target.client("seeder-1", "127.0.0.4")
    liar.announce(AnnounceEvent.STARTED, info_hash=NAMED, left=5, name="named")
    liar.announce(AnnounceEvent.STOPPED, info_hash=NAMED, left=5, name="named")
    assert target.program.until("left", peer="seeder-1")["address"] == "127.0.0.4:6881"
    assert [line.split()[1] for line in target.run("peers") if "named" in line] == ["127.0.0.3:6881"]


def test_honest_seed_is_on_the_first_page(own_target: Target) -> None:
    attacker = own_target.client("x", "127.0.0.2")
    for number in range(400):
        attacker.port, attacker.name = 1_000 + number, f"made-up-{number}"
        attacker.peer_id = b"-XT0100-" + str(number).encode().rjust(12)
        attacker.announce(AnnounceEvent.STARTED)
    own_target.client("seeder-1", "127.0.0.3").announce(AnnounceEvent.STARTED)
    found = own_target.client("leecher-1", "127.0.0.4").lookup()
    assert found.complete == 401
    assert "seeder-1" in [holder.name for holder in found.holders[:2]]


def test_open_requests_have_a_share_for_each_address(own_target: Target) -> None:
    """Twelve addresses open as many requests as they can."""
    for host in range(12):
        crowd = own_target.client("crowd", f"127.0.1.{host}")
        with contextlib.suppress(TrackerError):
            for number in range(2_001):
                crowd.peer_id = b"-XT0100-" + str(number).encode().rjust(12)
                crowd.lookup("all.txt")
    assert own_target.client("leecher-1", "127.0.0.3").lookup("mine.txt").request > 10_000
    assert own_target.is_sound()


def test_one_address_cannot_register_without_bound(target: Target) -> None:
    client = target.client("x", "127.0.0.5", extended=False)
    client.connect()
    for number in range(5_000):
        client.world.fire(client.packet(AnnounceEvent.STARTED, info_hash=number.to_bytes(20, "big"), options=b""))  # type: ignore[attr-defined]
        if number % 100 == 0:
            client.announce(info_hash=bytes(20))  # the tracker keeps up
    refused = 0
    for number in range(5_000, 5_500):
        try:
            client.announce(AnnounceEvent.STARTED, info_hash=number.to_bytes(20, "big"), options=b"")
        except TrackerError as error:
            refused += str(error).startswith("the tracker is full: 5000 files are registered from 127.0.0.5")
    assert refused >= 400
    target.client("honest", "127.0.0.6").announce(AnnounceEvent.STARTED, info_hash=OTHER_HASH, name="honest.txt")
    assert target.client("leecher", "127.0.0.7").lookup("honest.txt").complete == 1


def test_possession_reports_of_many_ranges(own_target: Target) -> None:
    """Alternating bits of a million pieces, from 256 ports of one address."""
    pieces, reports = 1 << 20, 2_000
    attacker = own_target.client("x", "127.0.0.2")
    window = [PieceSet(pieces), PieceSet(pieces)]
    for parity, pieces_held in enumerate(window):
        pieces_held.replace_window(0, PieceSet(MAX_WINDOW, range(parity, MAX_WINDOW, 2)))
    options = pack_publication(Publication("wide", pieces << 14, 1 << 14, "x", extended=True))
    refused, before, cpu = 0, own_target.memory(), own_target.cpu()
    for number in range(reports):
        attacker.port = 1_000 + number % 256
        if number < 256:
            attacker.announce(AnnounceEvent.STARTED, left=5, options=options)
        connection, tid = attacker.head()
        packet = pack_possession(
            connection, tid, attacker.port, HASH, attacker.peer_id, window[number // 256 % 2], 0, MAX_WINDOW
        )
        try:
            attacker.ask(packet)
        except TrackerError:
            refused += 1
    assert len(own_target.run("peers")) == 257
    assert own_target.memory() - before < 64 * MIB
    # 17 s before windows were replaced at once; the limit is for a slow machine.
    assert own_target.cpu() - cpu < 10
    assert refused < reports
    honest = own_target.client("leecher-1", "127.0.0.3")
    honest.announce(AnnounceEvent.STARTED, left=SIZE, info_hash=OTHER_HASH, name="honest.txt")
    assert honest.possess(PieceSet(SIZE // PIECE, [1]), info_hash=OTHER_HASH).held == 1


def test_lines_are_bounded(own_target: Target) -> None:
    crowd = own_target.client("crowd", "127.0.0.2")
    began = time.monotonic()
    for _ in range(15_000):
        crowd.lookup("x" * 200)
    requests = own_target.program.named("request", peer="crowd")
    # A busy machine needs more than the two periods that a short time may touch.
    periods = int((time.monotonic() - began) * 1000) // PERIOD_MS + 2
    assert len(requests) <= periods * MAX_BYTES_PER_IP // 200
    assert sum(map(len, own_target.program.lines)) < (periods + 2) * 2 * MIB
    number = own_target.client("honest", "127.0.0.3").lookup("mine.txt").request
    own_target.program.until("request", id=number)
    assert len(own_target.run("request", "logs", "--last", "15001")) == 15_002


def test_journal_is_bounded(own_target: Target) -> None:
    """Seeds with long names, one of which comes or goes before each look-up."""
    fleet = own_target.client("x", "127.0.0.2")

    def toggle(number: int, event: AnnounceEvent) -> None:
        fleet.port, fleet.name = 1_000 + number, f"{number:064}"
        fleet.peer_id = b"-XT0100-" + str(number).encode().rjust(12)
        fleet.announce(event)

    for number in range(130):
        toggle(number, AnnounceEvent.STARTED)
    leecher = own_target.client("leecher-1", "127.0.0.3")
    for number in range(1_000):
        toggle(number % 130, AnnounceEvent.STOPPED if number // 130 % 2 == 0 else AnnounceEvent.STARTED)
        leecher.outcome(leecher.lookup().request)
    own_target.run("request", "logs", "--last", "1")
    size = sum(path.stat().st_size for path in (own_target.loopback.directory / "state").iterdir())
    # A request kept a list of 100 names in any case: 7 kB each.
    assert size < 8 * MIB
