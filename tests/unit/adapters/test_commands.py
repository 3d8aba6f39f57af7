"""The console commands of a client's node and of opentracker's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.unit.adapters.test_node import DATA, info_of
from torrentnet.adapters.adapter import ClientStatus
from torrentnet.adapters.commands import add_client_commands, add_tracker_commands
from torrentnet.console.commands import Commands
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp.packets import ScrapeCounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Node:
    """What the commands read of either node."""

    name = "node-1"
    state = "get"
    files = (info_of(DATA),)
    status = ClientStatus(2, complete=False, announced=True, uploaded=2048, peers=3)
    adapter = SimpleNamespace(name="aria2", version=lambda: "1.36.0")

    def __init__(self, settings: object = None, counts: tuple[ScrapeCounts, ...] | None = None) -> None:
        self.settings = settings
        self.counts = counts

    def uptime(self) -> float:
        return 61.0

    def scrape(self, timeout: float) -> tuple[ScrapeCounts, ...] | None:
        return self.counts


def run(add: Callable[[Commands, Any], None], node: object, line: str) -> tuple[int, list[str]]:
    """The exit status, and the output of either kind."""
    commands = Commands("client")
    add(commands, node)
    lines: list[str] = []
    return commands.execute(line, lines.append, lines.append), lines


def test_a_client_shows_its_progress(tmp_path: Path) -> None:
    settings = SimpleNamespace(listen=Endpoint("127.0.0.1", 6881), directory=tmp_path, info=info_of(DATA))
    status, lines = run(add_client_commands, Node(settings), "status")
    assert status == 0
    assert [line.split()[0] for line in lines] == [
        *("client", "state", "listens", "running", "file", "pieces", "info-hash", "peers", "uploaded"),
    ]
    assert lines[0].split() == ["client", "aria2", "1.36.0"]
    assert lines[5].split() == ["pieces", "2", "of", "4"]


def test_opentracker_shows_its_files() -> None:
    status, (header, row) = run(add_tracker_commands, Node(counts=(ScrapeCounts(2, 5, 1),)), "status")
    assert status == 0
    assert header.split() == ["FILE", "INFO-HASH", "SEEDS", "LEECHERS", "COMPLETED"]
    assert row.split() == ["a.bin", info_of(DATA).info_hash.hex(), "2", "1", "5"]


def test_opentracker_that_does_not_answer_fails_the_command() -> None:
    assert run(add_tracker_commands, Node(), "status") == (1, ["error: opentracker does not answer"])


def test_status_takes_no_arguments() -> None:
    assert run(add_client_commands, Node(), "status all") == (2, ["error: status takes no arguments"])
