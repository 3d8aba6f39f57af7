"""Who sees an event and asks for the log finds it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.unit.tracker.world import SIZE, TIMEOUT, Client, Short, World, seeds
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
    """Notes each event whose record was not written before it."""
    late: list[str] = []
    told = dict.fromkeys(RECORD, 0)

    def look() -> None:
        for event, record in RECORD.items():
            count = sum(seen.event == event for seen in world.events)
            told[event] = count
            same = sum(told[other] for other, kind in RECORD.items() if kind is record)
            if same > sum(isinstance(one, record) for one in world.records):
                late.append(event)

    emit, tell = world.emit, world.tell

    def emitted(event: str, /, **fields: object) -> None:
        emit(event, **fields)
        look()

    def lines(texts: Sequence[str]) -> None:
        tell(texts)
        look()

    chronicle = world.core._chronicle
    monkeypatch.setattr(chronicle, "_emit_one", emitted)
    monkeypatch.setattr(chronicle, "_tell", lines)
    return late


def test_every_event_is_in_the_journal_before_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Short()
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
