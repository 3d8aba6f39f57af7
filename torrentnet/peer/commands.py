"""The commands of a peer's console."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.table import table
from torrentnet.runtime.units import format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.peer.node import Peer
    from torrentnet.peer.response_log import ResponseEntry, ResponseLog

_LOGS: Final = "request logs [--last N] [--json]"


class _LogsParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; usage: {_LOGS}", 2)


def add_commands(commands: Commands, peer: Peer, log: ResponseLog) -> None:
    """Add the peer's commands, which read ``peer`` from other threads."""
    commands.add(
        Command(
            ("request", "logs"),
            _LOGS,
            "every response on the way to a piece",
            lambda words: _log_lines(words, log),
            complete=lambda words, word: ("--json", "--last"),
            details="--last N   only the newest N responses\n--json     one JSON object a line\n"
            "RESULT is `verified` after a check here, `claimed` for what others only say",
        )
    )
    commands.add(
        Command(
            ("status",),
            "status",
            "the file, the download and the connections of this peer",
            lambda words: _status_lines(words, peer),
        )
    )


def _log_lines(words: list[str], log: ResponseLog) -> Iterable[str]:
    parser = _LogsParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--last", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if options.last is not None and options.last < 1:
        raise CommandError("--last must be at least 1", 2)
    entries = log.entries(options.last)
    if options.json:
        return (_format_json(entry) for entry in entries)
    return _format_log(entries, log.dropped)


def _format_log(entries: Iterator[ResponseEntry], dropped: int) -> Iterator[str]:
    first = next(entries, None)
    if first is None:
        yield "no response was received yet"
        return
    if dropped:
        yield f"({dropped} older responses are no longer kept)"
    rows = map(_log_row, (first, *entries))
    yield from table(("TIME", "FROM", "RESPONSE", "BYTES", "MS", "RESULT"), rows, right=("BYTES", "MS"))


def _log_row(entry: ResponseEntry) -> tuple[object, ...]:
    elapsed = None if entry.elapsed is None else f"{entry.elapsed * 1000:.1f}"
    return (_format_time(entry.time), entry.source, entry.what, entry.size, elapsed, entry.verdict or None)


def _format_json(entry: ResponseEntry) -> str:
    return json.dumps(
        {
            "time": _format_time(entry.time),
            "from": entry.source,
            "response": entry.what,
            "bytes": entry.size,
            "ms": None if entry.elapsed is None else round(entry.elapsed * 1000, 3),
            "result": entry.verdict,
        },
        ensure_ascii=False,
    )


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"


def _status_lines(words: list[str], peer: Peer) -> Iterable[str]:
    if words:
        raise CommandError("status takes no words", 2)
    return _format_status(peer)


def _format_status(peer: Peer) -> Iterator[str]:
    download, store = peer.download, peer.store
    yield f"state        {peer.state}"
    yield f"listens on   {peer.endpoint}"
    yield f"running for  {format_duration(peer.running_for())}"
    if store is not None:
        yield f"file         {store.path} ({format_size(store.info.length)})"
        yield f"pieces       {store.held.describe()}"
        yield f"info-hash    {store.info.info_hash.hex()}"
    if download is not None:
        yield f"download     {download.phase.value}"
        if download.sources:
            yield f"source       {download.sources}"
    yield f"serving      {peer.connections} connection{'' if peer.connections == 1 else 's'}"
    yield f"uploaded     {format_size(peer.uploaded)}"
