"""Peers behind a lossy link: each request has one row, with its true outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker.lossy_link import Fate, LossyLink, Peer
from tests.unit.tracker.world import EPOCH, HASH, TIMEOUT, World
from torrentnet.tracker.core import Core
from torrentnet.tracker.journal import queries
from torrentnet.tracker.journal.journal import Journal
from torrentnet.wire.udp.connection_id import ConnectionIds

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

EXPECTED = {
    Fate.SEED: {"succeeded"},
    Fate.LEAVER: {"succeeded"},
    # With enough loss, its silence may exceed the time-out; then its report is too late.
    Fate.FAILURE: {"failed", "lost"},
    Fate.DEAD: {"lost"},
}


class Played:
    """A finished run and its journal."""

    def __init__(self, state: Path, seed: int, *, loss: float, restart_at: float | None = None) -> None:
        self._state = state
        self.journal = Journal(state)
        self.journal.start()
        self.world = World(write=self.journal.write_all)
        link = LossyLink(self.world, seed, loss=loss, duplication=0.2, delay=0.15)
        seeders = [Peer(link, f"seeder-{number}", f"10.0.1.{number}") for number in (1, 2, 3)]
        leechers = [
            Peer(link, f"leecher-{number}", f"10.0.2.{number}", fate) for number, fate in enumerate([*Fate] * 2)
        ]
        self.peers = [*seeders, *leechers]
        link.at(2.0, seeders[0].die)
        if restart_at is not None:
            link.run(restart_at)
            self._restart(link.chance)
        link.run(30)
        link.loss = 0.0
        link.run(5)
        assert self.journal.flush()

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def _restart(self, chance: Random) -> None:
        self.journal.close()
        self.journal = Journal(self._state)
        self.journal.start()
        world = self.world
        world.core = Core(
            world.settings,
            ConnectionIds(b"the secret of another process", world.now),
            emit=world.emit,
            emit_lines=world.emit_lines,
            write=self.journal.write_all,
            wall_clock=lambda: EPOCH + world.now - world.started,
            random=chance,
            first_request=self.journal.next_request,
        )
        world.core.restore(self.journal.waiting(), world.now)

    def check(self) -> None:
        requests = list(queries.requests(self.journal))
        assert sorted(row.peer for row in requests) == [f"leecher-{number}" for number in range(8)]
        rows = {row.peer: row for row in requests}
        for peer in self.peers:
            if peer.fate is not None:
                assert rows[peer.name].state in EXPECTED[peer.fate], f"{peer.name}: {peer.fate}"
                assert peer.over == (peer.fate in {Fate.LEAVER, Fate.FAILURE})
        registry = self.world.core.registry
        registered = {holder.name: holder for holder in registry.members()}
        assert set(registered) == {peer.name for peer in self.peers if peer.alive and not peer.over}
        assert all(holder.complete for holder in registered.values())
        alive = {row.peer: row.pieces for row in queries.holders(self.journal, HASH) if row.state == "alive"}
        assert alive == dict.fromkeys(registered, "all 32")
        for peer in self.peers:
            peer.die()
        self.world.pass_time(TIMEOUT)
        assert len(registry) == 0
        assert len(self.world.core.requests) == 0


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(6))
def test_each_request_has_one_row_and_its_outcome(tmp_path: Path, seed: int, loss: float) -> None:
    with Played(tmp_path, seed, loss=loss) as played:
        played.check()


@pytest.mark.parametrize("restart_at", [0.7, 1.5, 2.5])
@pytest.mark.parametrize("seed", range(4))
def test_restarted_tracker_continues_the_rows(tmp_path: Path, seed: int, restart_at: float) -> None:
    with Played(tmp_path, seed, loss=0.1, restart_at=restart_at) as played:
        played.check()
