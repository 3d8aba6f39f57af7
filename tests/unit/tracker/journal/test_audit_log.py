"""Who sees an event and queries the journal finds it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.unit.tracker.world import SIZE, TIMEOUT, Client, FastWorld, World, seeds
from torrentnet.tracker.journal.line_budget import MAX_BYTES_PER_IP, PERIOD_MS
from torrentnet.tracker.journal.records import HolderAdded, HolderCompleted, HolderRemoved, RequestClosed, RequestOpened
from torrentnet.wire.udp.packets import AnnounceEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

RECORD: Final = {
    "published": HolderAdded,
    "joined": HolderAdded,
    "completed": HolderCompleted,
    "left": HolderRemoved,
    "forgotten": HolderRemoved,
    "request": RequestOpened,
    "outcome": RequestClosed,
}


def watch(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that collects each event whose record was not written before it."""
    late: list[str] = []
    counts = dict.fromkeys(RECORD, 0)

    def check() -> None:
        for event, record in RECORD.items():
            counts[event] = sum(seen.event == event for seen in world.events)
            expected = sum(counts[other] for other, kind in RECORD.items() if kind is record)
            if expected > sum(isinstance(one, record) for one in world.records):
                late.append(event)

    def emit(event: str, /, **fields: object) -> None:
        world.emit(event, **fields)
        check()

    def emit_lines(lines: Sequence[str]) -> None:
        world.emit_lines(lines)
        check()

    monkeypatch.setattr(world.core.audit_log, "_emit", emit)
    monkeypatch.setattr(world.core.audit_log, "_emit_lines", emit_lines)
    return late


def test_lines_that_packets_cause_are_limited() -> None:
    world = FastWorld()
    seeds(world, 1)
    crowd = Client(world, "crowd", ip="10.0.0.8")
    for _ in range(20_000):
        crowd.lookup()
    lines = world.logged("request", "outcome")
    assert sum(len(line) for line in lines) < MAX_BYTES_PER_IP
    assert sum(isinstance(record, RequestOpened) for record in world.records) == 20_000
    # Another address has a share of its own.
    Client(world, "leecher-1", ip="10.0.0.9").lookup()
    assert world.logged("request")[-1].split()[2] == "peer=leecher-1"
    world.pass_time(PERIOD_MS / 1000)
    Client(world, "leecher-2", ip="10.0.0.9").lookup()
    left_out = next(seen for seen in world.events if seen.event == "left_out")
    assert isinstance(left_out.fields["lines"], int)
    assert left_out.fields["lines"] > 39_000 - len(lines)


def test_record_is_written_before_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    world = FastWorld()
    late = watch(world, monkeypatch)
    seeds(world, 2)
    leecher = Client(world, "leecher-1", ip="10.0.0.9")
    found = leecher.lookup()
    leecher.announce(AnnounceEvent.STARTED, left=SIZE)
    leecher.announce(AnnounceEvent.COMPLETED, left=0)
    leecher.outcome(found.request)
    leecher.announce(AnnounceEvent.STOPPED, left=0)
    world.pass_time(2 * TIMEOUT)
    assert {seen.event for seen in world.events} == set(RECORD)
    assert late == []
