"""Who sees an event and asks for the log finds it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.unit.tracker.world import SIZE, TIMEOUT, Client, Short, World, seeds
from torrentnet.tracker.records import HolderCame, HolderCompleted, HolderWent, RequestBegan, RequestEnded
from torrentnet.wire.udp import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

RECORD: Final = {
    "published": HolderCame,
    "joined": HolderCame,
    "completed": HolderCompleted,
    "left": HolderWent,
    "forgotten": HolderWent,
    "request": RequestBegan,
    "outcome": RequestEnded,
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
    leecher.announce(Event.STARTED, left=SIZE)
    leecher.announce(Event.COMPLETED, left=0)
    leecher.outcome(found.request)
    leecher.announce(Event.STOPPED, left=0)
    world.pass_time(2 * TIMEOUT)
    assert {seen.event for seen in world.events} == set(RECORD)
    assert late == []
