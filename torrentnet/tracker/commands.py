"""The tracker's commands: request logs, file_logs, peers, status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.table import table
from torrentnet.console.words import join_words
from torrentnet.runtime.events import format_timestamp
from torrentnet.runtime.process import EXIT_USAGE
from torrentnet.runtime.units import format_duration, format_size
from torrentnet.tracker.journal import queries
from torrentnet.tracker.journal.request_replay import describe_outcome
from torrentnet.tracker.journal.schema import ALIVE, UNHEARD
from torrentnet.wire.names import canonical_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torrentnet.runtime.system import System
    from torrentnet.tracker.core import Core
    from torrentnet.tracker.journal.journal import Journal

MAX_COMPLETIONS: Final = 1_000
"""Number of file names that completion offers."""
COMPLETION_TIMEOUT: Final = 0.2
"""Longest wait of a completion for the journal's queue to be written."""
_REQUEST_LOGS: Final = "request logs [--last N] [--file NAME] [--json]"
_PEERS: Final = "peers [--json]"
_FILE_LOGS: Final = "file_logs -all | file_logs NAME"


@dataclass(frozen=True, slots=True)
class CommandContext:
    """State of the tracker that the commands show."""

    name: str
    address: str
    core: Core
    journal: Journal
    system: System
    """Its monotonic clock is the clock of ``core``."""


def add_commands(commands: Commands, context: CommandContext) -> None:
    """Add the tracker's commands."""

    def names() -> list[str]:
        context.journal.flush(COMPLETION_TIMEOUT)
        return queries.file_names(context.journal, MAX_COMPLETIONS)

    def complete_file(_words: list[str], word: str) -> Iterable[str]:
        return [name for name in ["-all", *names()] if name.startswith(word)]

    def complete_request(words: list[str], word: str) -> Iterable[str]:
        if words and words[-1] == "--file":
            return names()
        return [option for option in ("--last", "--file", "--json") if option.startswith(word)]

    commands.add(
        Command(
            ("request", "logs"),
            _REQUEST_LOGS,
            "every request: time, peer, file, outcome, holders at the time",
            lambda args: _request_logs(context, args),
            complete=complete_request,
            details="--last N     only the last N requests\n--file NAME  only requests for this file\n"
            "--json       one JSON object a line (times in milliseconds since 1970, sizes in bytes)\nTimes are UTC.",
        )
    )
    commands.add(
        Command(
            ("file_logs",),
            _FILE_LOGS,
            "a file: when and by whom it was published, who holds which pieces, its events",
            lambda args: _file_logs(context, args),
            complete=complete_file,
            details="-all  every file that was ever known to this tracker\nTimes are UTC. Pieces are numbered from 0.",
        )
    )
    commands.add(
        Command(
            ("peers",),
            _PEERS,
            "the peers that are registered now",
            lambda args: _peers(context, args),
            complete=lambda _words, word: [option for option in ("--json",) if option.startswith(word)],
            details="--json  one JSON object a line (times in milliseconds since 1970)",
        )
    )
    commands.add(Command(("status",), "status", "the state of this tracker", lambda args: _status(context, args)))


def _time(time_ms: int) -> str:
    return format_timestamp(time_ms / 1000)


def _request_logs(context: CommandContext, args: list[str]) -> Iterator[str]:
    last, file, as_json = _request_options(args)
    context.journal.flush()
    rows = queries.requests(context.journal, file=file, last=last)
    if as_json:
        return (_as_json(row) for row in rows)
    first = next(rows, None)
    if first is None:
        return iter(["no request yet" if file is None else f"no request for {_quoted(file)} yet"])
    header = ("TIME", "ID", "PEER", "REQUEST", "OUTCOME", "HOLDERS AT THE TIME")
    return table(header, map(_request_cells, chain([first], rows)), right=("ID",))


def _request_options(args: list[str]) -> tuple[int | None, str | None, bool]:
    last: int | None = None
    file: str | None = None
    as_json = False
    words = iter(args)
    for word in words:
        if word == "--json":
            as_json = True
        elif word in {"--last", "--file"}:
            value = next(words, None)
            if value is None:
                raise CommandError(f"{word} needs a value: {_REQUEST_LOGS}", EXIT_USAGE)
            if word == "--file":
                file = canonical_name(value)
            elif value.isascii() and value.isdigit() and 0 < len(value) < 9 and int(value) > 0:
                last = int(value)
            else:
                raise CommandError(f"--last needs a number from 1 on, not {_quoted(value)}", EXIT_USAGE)
        else:
            raise CommandError(f"unknown argument {_quoted(word)}: {_REQUEST_LOGS}", EXIT_USAGE)
    return last, file, as_json


def _request_cells(row: queries.RequestRow) -> tuple[str, ...]:
    names = [name for name, _ in row.sources]
    more = f" and {row.holder_count - len(row.holders)} more" if row.holder_count > len(row.holders) else ""
    return (
        _time(row.time_ms),
        str(row.number),
        row.peer,
        f"get {_quoted(row.file)}",
        describe_outcome(row.state, names, row.transferred, row.elapsed_ms, row.reason),
        (", ".join(row.holders) or "nobody") + more,
    )


def _as_json(row: queries.RequestRow) -> str:
    return json.dumps(
        {
            "id": row.number,
            "time_ms": row.time_ms,
            "peer": row.peer,
            "address": row.address,
            "file": row.file,
            "holders": row.holders,
            "holders_total": row.holder_count,
            "outcome": row.state,
            "from": [{"peer": name, "pieces": pieces} for name, pieces in row.sources],
            "bytes": row.transferred,
            "ms": row.elapsed_ms,
            "reason": row.reason,
            "ended_ms": row.ended_ms,
        },
        ensure_ascii=False,
    )


def _file_logs(context: CommandContext, args: list[str]) -> Iterator[str]:
    if len(args) != 1:
        raise CommandError(f"which file? {_FILE_LOGS} (put a name with spaces in quotes)", EXIT_USAGE)
    context.journal.flush()
    all_files = args[0] in {"-all", "--all"}
    rows = queries.files(context.journal, None if all_files else canonical_name(args[0]))
    first = next(rows, None)
    if first is not None:
        return _files(context, chain([first], rows))
    if all_files:
        return iter(["no file yet"])
    raise CommandError(_unknown_file(context.journal, args[0]))


def _unknown_file(journal: Journal, name: str) -> str:
    known = queries.file_names(journal, queries.MAX_SUGGESTIONS + 1)
    if not known:
        return f"unknown file {_quoted(name)}: nothing has been published yet"
    similar = queries.similar_names(journal, name)
    if similar:
        return f"unknown file {_quoted(name)}; did you mean {' or '.join(map(_quoted, similar))}?"
    shown = ", ".join(map(_quoted, known[: queries.MAX_SUGGESTIONS]))
    more = ", ..." if len(known) > queries.MAX_SUGGESTIONS else ""
    return f"unknown file {_quoted(name)}; known files: {shown}{more}"


def _files(context: CommandContext, files: Iterable[queries.FileRow]) -> Iterator[str]:
    journal = context.journal
    reserved = {info.info_hash for info in context.core.registry.known_files}
    for number, file in enumerate(files):
        if number:
            yield ""
        yield file.label
        yield from table((), _facts(journal, file, is_reserved=file.info_hash in reserved), indent="  ")
        yield ""
        yield from table(
            ("HOLDER", "ADDRESS", "PIECES", "SINCE", "STATE"),
            (
                (row.peer, row.address, row.pieces, _time(row.since_ms), _state(row))
                for row in queries.holders(journal, file.info_hash)
            ),
            indent="  ",
        )
        yield ""
        yield from table(
            ("TIME", "EVENT", "PEER", "DETAIL"),
            ((_time(row.time_ms), row.kind, row.peer, row.detail) for row in queries.events(journal, file.info_hash)),
            indent="  ",
        )


def _facts(journal: Journal, file: queries.FileRow, *, is_reserved: bool) -> Iterator[tuple[str, str]]:
    if file.published_ms is not None:
        yield "published", f"{_time(file.published_ms)} by {file.published_by} ({file.published_from})"
    elif is_reserved:
        yield "published", f"never; the name is reserved since {_time(file.known_ms)}, by its .torrent"
    else:
        yield "published", f"never; known since {_time(file.known_ms)}"
    if file.size is None:
        yield "size", "unknown"
    elif file.pieces is None or not file.piece_length:
        yield "size", f"{_size(file.size)}, number of pieces unknown"
    else:
        yield "size", f"{_size(file.size)}, {file.pieces} pieces of {format_size(file.piece_length)}"
    yield "info-hash", file.info_hash.hex()
    alive, complete, earlier = queries.count_holders(journal, file.info_hash)
    yield "holders", f"{alive} alive, {complete} of them complete; {earlier} gone"


def _size(size: int) -> str:
    return f"{format_size(size)} ({size} bytes)" if size >= 1024 else f"{size} bytes"


def _state(row: queries.HolderRow) -> str:
    if row.state == ALIVE:
        return "alive"
    if row.state == UNHEARD:
        return "not heard since restart"
    return f"gone ({row.why}) at {_time(row.gone_ms or 0)}"


def _peers(context: CommandContext, args: list[str]) -> Iterator[str]:
    as_json = args == ["--json"]
    if args and not as_json:
        unknown = next((word for word in args if word != "--json"), args[-1])
        raise CommandError(f"unknown argument {_quoted(unknown)}: {_PEERS}", EXIT_USAGE)
    now = context.system.monotonic()
    wall = context.system.wall_time()
    rows = (
        (member, round((wall - (now - member.joined)) * 1000), max(0.0, now - member.last_seen))
        for member in context.core.registry.members()
    )
    if as_json:
        return (
            json.dumps(
                {
                    "peer": member.name,
                    "address": str(member.endpoint),
                    "file": member.swarm.label,
                    "pieces": member.describe_pieces(),
                    "complete": member.complete,
                    "since_ms": since_ms,
                    "silent_ms": round(silent * 1000),
                },
                ensure_ascii=False,
            )
            for member, since_ms, silent in rows
        )
    first = next(rows, None)
    if first is None:
        return iter(["no peer is registered"])
    cells = (
        (
            member.name,
            member.endpoint,
            _quoted(member.swarm.label),
            member.describe_pieces(),
            _time(since_ms),
            f"{format_duration(silent)} ago",
        )
        for member, since_ms, silent in chain([first], rows)
    )
    return table(("PEER", "ADDRESS", "FILE", "PIECES", "SINCE", "HEARD"), cells)


def _status(context: CommandContext, args: list[str]) -> Iterator[str]:
    if args:
        raise CommandError(f"status takes no arguments: {_quoted(args[0])}", EXIT_USAGE)
    core, journal, settings = context.core, context.journal, context.core.settings
    journal.flush()
    files, requests = queries.count_rows(journal)
    lost = f", {journal.lost} records lost" if journal.lost else ""
    unsent = f", {core.unsent} answers not sent" if core.unsent else ""
    cells = [
        ("name", context.name),
        ("address", context.address),
        ("keep-alive", f"{format_duration(settings.keepalive)}, forgotten after {format_duration(settings.timeout)}"),
        ("peers", str(len(core.registry))),
        ("files", f"{len(core.registry.by_hash)} held now, {files} in the journal"),
        ("requests", f"{len(core.requests)} waiting, {requests} in the journal"),
        ("journal", f"{journal.location}{lost}"),
        ("packets", f"{core.received} received{unsent}"),
        *(("", f"{count} {reason.value}") for reason, count in core.refusals.counts.items() if count),
    ]
    return table((), cells)


def _quoted(name: str) -> str:
    return join_words([name])
