"""Records and journals for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.tracker.journal.journal import Journal
from torrentnet.tracker.journal.records import HoldingKey, RequestClosed, RequestOpened, RequestState

if TYPE_CHECKING:
    from torrentnet.tracker.journal.journal import Retention

HASH = bytes(20)
MANY = tuple(f"seeder-{number}" for number in range(100))
ROOT = Path(__file__).parents[4]


def opened(number: int, *, file: str = "myfile.txt", peer: str = "leecher-1") -> RequestOpened:
    return RequestOpened(1000 + number, number, peer, "10.0.0.1", 6881, b"p" * 20, file, HASH, ("seeder-1",), 1)


def opened_with(number: int, holders: tuple[str, ...] = MANY) -> RequestOpened:
    return opened(number)._replace(holders=holders, holder_count=len(holders))


def closed(number: int) -> RequestClosed:
    return RequestClosed(2000, number, "leecher-1", HASH, RequestState.SUCCEEDED, (("seeder-1", 32),), 8, 9, "")


def key(peer: str = "seeder-1", ip: str = "10.0.0.1") -> HoldingKey:
    return HoldingKey(HASH, peer, ip, 6881)


def open_journal(state: Path | None = None, retention: Retention | None = None) -> Journal:
    journal = Journal(state, retention=retention)
    journal.start()
    return journal
