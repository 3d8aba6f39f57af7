"""Console commands of a node that runs another project's program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.table import table
from torrentnet.runtime.process import EXIT_USAGE
from torrentnet.runtime.units import format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.adapters.node import ClientNode
    from torrentnet.adapters.programs.opentracker import OpentrackerNode

SCRAPE_TIMEOUT: Final = 2.0


def add_client_commands(commands: Commands, node: ClientNode) -> None:
    """Add the commands of a client's node."""
    _add_status(commands, "show the client's progress", lambda: _client_status(node))


def add_tracker_commands(commands: Commands, node: OpentrackerNode) -> None:
    """Add the commands of opentracker's node."""
    _add_status(commands, "show the files, with their seeds and leechers", lambda: _tracker_status(node))


def _add_status(commands: Commands, summary: str, status: Callable[[], Iterable[str]]) -> None:
    def run(words: list[str]) -> Iterable[str]:
        if words:
            raise CommandError("status takes no arguments", EXIT_USAGE)
        return status()

    commands.add(Command(("status",), "status", summary, run))


def _client_status(node: ClientNode) -> Iterator[str]:
    status, settings = node.status, node.settings
    yield f"client       {node.adapter.name} {node.adapter.version()}"
    yield f"state        {node.state}"
    yield f"listens on   {settings.listen}"
    yield f"running for  {format_duration(node.uptime())}"
    yield f"file         {settings.directory / settings.info.name} ({format_size(settings.info.length)})"
    yield f"pieces       {status.pieces_held} of {settings.info.pieces}"
    yield f"info-hash    {settings.info.info_hash.hex()}"
    yield f"peers        {status.peers}"
    yield f"uploaded     {format_size(status.uploaded)}"


def _tracker_status(tracker: OpentrackerNode) -> Iterable[str]:
    swarms = tracker.scrape(SCRAPE_TIMEOUT)
    if swarms is None:
        raise CommandError("opentracker does not answer")
    rows = [
        (info.name, info.info_hash.hex(), swarm.seeders, swarm.leechers, swarm.completed)
        for info, swarm in zip(tracker.files, swarms, strict=False)
    ]
    return table(
        ("FILE", "INFO-HASH", "SEEDS", "LEECHERS", "COMPLETED"), rows, right=("SEEDS", "LEECHERS", "COMPLETED")
    )
