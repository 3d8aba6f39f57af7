"""What can be typed at the command line of a node that runs somebody else's program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.table import table
from torrentnet.runtime.units import format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.adapters.node import ClientNode
    from torrentnet.adapters.programs.opentracker import OpentrackerNode

SCRAPE_TIMEOUT = 2.0


def client_commands(name: str, node: Callable[[], ClientNode], on_quit: Callable[[], None]) -> Commands:
    """The commands of a client's node."""
    commands = Commands("client", name=name, on_quit=on_quit)
    return commands.add(
        Command(("status",), "status", "how far the client is", lambda words: _client_status(words, node()))
    )


def tracker_commands(name: str, tracker: Callable[[], OpentrackerNode], on_quit: Callable[[], None]) -> Commands:
    """The commands of opentracker's node."""
    commands = Commands("tracker", name=name, on_quit=on_quit)
    return commands.add(
        Command(
            ("status",), "status", "its files, and how many have them", lambda words: _tracker_status(words, tracker())
        )
    )


def _reject_words(words: list[str]) -> None:
    if words:
        raise CommandError("status takes no words", 2)


def _client_status(words: list[str], node: ClientNode) -> Iterable[str]:
    _reject_words(words)
    return _status_lines(node)


def _status_lines(node: ClientNode) -> Iterator[str]:
    standing, job = node.status, node.settings
    yield f"client       {node.adapter.name} {node.adapter.version()}"
    yield f"state        {node.state}"
    yield f"listens on   {job.listen}"
    yield f"running for  {format_duration(node.uptime())}"
    yield f"file         {job.directory / job.info.name} ({format_size(job.info.length)})"
    yield f"pieces       {standing.pieces_held} of {job.info.pieces}"
    yield f"info-hash    {job.info.info_hash.hex()}"
    yield f"peers        {standing.peers}"
    yield f"uploaded     {format_size(standing.uploaded)}"


def _tracker_status(words: list[str], tracker: OpentrackerNode) -> Iterable[str]:
    _reject_words(words)
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
