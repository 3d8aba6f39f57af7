"""``client PROGRAM ...``: the command line of the drivers."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from torrentnet.adapters.adapter import AdapterError, ClientSettings
from torrentnet.adapters.commands import client_commands, tracker_commands
from torrentnet.adapters.node import ClientNode
from torrentnet.adapters.programs.aria2 import Aria2Adapter
from torrentnet.adapters.programs.libtorrent import LibtorrentAdapter
from torrentnet.adapters.programs.opentracker import OpentrackerNode
from torrentnet.adapters.programs.transmission import TransmissionAdapter
from torrentnet.console.remote.server import ConsoleServer, ConsoleServerError
from torrentnet.console.terminal.terminal import Terminal
from torrentnet.runtime.events import EventLog
from torrentnet.runtime.gate import await_network
from torrentnet.runtime.options import OptionParser, add_console_options, argument_type, file_content
from torrentnet.runtime.units import parse_rate
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import InvalidNameError, MetainfoError
from torrentnet.wire.metainfo import parse_torrent, torrent_with_url
from torrentnet.wire.names import check_peer_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from torrentnet.adapters.adapter import ClientAdapter
    from torrentnet.console.commands import Commands
    from torrentnet.wire.info import Info

ADAPTERS: dict[str, type[ClientAdapter]] = {
    "aria2": Aria2Adapter,
    "transmission": TransmissionAdapter,
    "libtorrent": LibtorrentAdapter,
}
PROGRAM = "client"
MAX_URL_DATA = 255
"""Bytes of an announce URL's path and query that libtorrent sends (one BEP 41 option)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a driver until it is told to stop; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        await_network()
        return _run_tracker(options) if options.program == "opentracker" else _run_client(options)
    except (AdapterError, ConsoleServerError) as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(prog=PROGRAM, description="Other people's clients and tracker as nodes of a lab.")
    programs = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM", parser_class=OptionParser)
    for name in ADAPTERS:
        add = programs.add_parser(name, help=f"a peer that is {name}", allow_abbrev=False).add_argument
        add("mode", choices=("share", "get"), help="share a file that is here, or get it")
        add("filename", metavar="FILENAME", help="the file's name")
        add(
            "tracker",
            metavar="TRACKER_ADDRESS",
            type=argument_type(_parse_endpoint),
            help="the tracker's IP:PORT (UDP)",
        )
        add(
            "listen",
            metavar="LISTEN_ADDRESS",
            type=argument_type(_parse_endpoint),
            help="IP:PORT for other peers (TCP)",
        )
        add(
            "--torrent",
            metavar="FILE",
            type=argument_type(file_content(parse_torrent, MetainfoError)),
            required=True,
            help="its .torrent; trackers in it are not asked",
        )
        add("--dir", type=Path, default=Path(), help="directory of the file (default: the current one)")
        add(
            "--upload-rate",
            metavar="RATE",
            type=argument_type(parse_rate),
            help="send at most this, as in 1MiB/s or 8mbit",
        )
        _add_common_options(add, "client")
    add = programs.add_parser("opentracker", help="the tracker opentracker", allow_abbrev=False).add_argument
    add("listen", metavar="LISTEN_ADDRESS", type=argument_type(_parse_endpoint), help="IP:PORT to listen on (UDP)")
    add(
        "--torrent",
        metavar="FILE",
        type=argument_type(file_content(parse_torrent, MetainfoError)),
        action="append",
        default=[],
        help="a .torrent whose info-hash it serves; may be repeated",
    )
    _add_common_options(add, "tracker")
    return parser


def _add_common_options(add: Callable[..., object], name: str) -> None:
    add("--name", type=argument_type(_parse_name), default=name, help=f"this node's name (default: {name})")
    add("--state", type=Path, help="directory for the program's own files (default: .torrentnet-NAME)")
    add_console_options(add)


def _parse_endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535):
        raise ValueError(f"{text!r} is not IP:PORT, as in 127.0.0.1:6771")
    return Endpoint(host, int(port))


def _parse_name(text: str) -> str:
    try:
        return check_peer_name(text)
    except InvalidNameError as error:
        raise ValueError(error.message) from None


def announce_url(tracker: Endpoint, info: Info, name: str) -> str:
    """The announce URL of this node: libtorrent sends what is behind the host's name, and so says who it is.

    What does not fit is left out, the file's name before the peer's: a name cut in half would be another one.
    """
    parts = [f"/announce?peer={quote(name, safe='')}", f"&size={info.length}&piece={info.piece_length}"]
    parts.append(f"&name={quote(info.name, safe='')}")
    while len("".join(parts)) > MAX_URL_DATA:
        parts.pop()
    return f"udp://{tracker}{''.join(parts)}"


def _make_state_directory(options: argparse.Namespace) -> Path:
    state: Path = (options.state or Path(f".torrentnet-{options.name}")).absolute()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AdapterError(f"{state} cannot be made: {(error.strerror or str(error)).lower()}") from None
    return state


def _run_client(options: argparse.Namespace) -> int:
    info: Info = options.torrent
    if info.name != options.filename:
        raise AdapterError(f"the .torrent is that of {info.name!r}, not of {options.filename!r}")
    directory: Path = options.dir.absolute()
    seed = options.mode == "share"
    if not directory.is_dir():
        raise AdapterError(f"{directory} is no directory")
    if seed and not (directory / info.name).is_file():
        raise AdapterError(f"{directory / info.name} does not exist")
    state = _make_state_directory(options)
    torrent = state / "node.torrent"
    torrent.write_bytes(torrent_with_url(info, announce_url(options.tracker, info, options.name)))
    job = ClientSettings(info, torrent, seed, directory, state, options.listen, options.tracker, options.upload_rate)
    nodes: list[ClientNode] = []
    commands = client_commands(options.name, lambda: nodes[0], lambda: nodes[0].stop("quit"))
    terminal = Terminal(commands, sys.stdin, sys.stdout)
    events = EventLog(terminal.write_line, level=options.log_level)
    client = ADAPTERS[options.program](job, lambda line: events.warning("said", text=line))
    nodes.append(ClientNode(options.name, client, job, events))
    return _run_attended(options, commands, terminal, events, nodes[0].stop, nodes[0].run)


def _run_tracker(options: argparse.Namespace) -> int:
    trackers: list[OpentrackerNode] = []
    commands = tracker_commands(options.name, lambda: trackers[0], lambda: trackers[0].stop("quit"))
    terminal = Terminal(commands, sys.stdin, sys.stdout)
    events = EventLog(terminal.write_line, level=options.log_level)
    tracker = OpentrackerNode(options.name, options.listen, options.torrent, _make_state_directory(options), events)
    trackers.append(tracker)
    said: Callable[[str], None] = lambda line: events.warning("said", text=line)  # noqa: E731
    return _run_attended(options, commands, terminal, events, tracker.stop, lambda: tracker.run(said))


def _run_attended(
    options: argparse.Namespace,
    commands: Commands,
    terminal: Terminal,
    events: EventLog,
    stop: Callable[[str], None],
    run: Callable[[], int],
) -> int:
    """Run with a terminal, a console socket and signals around it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stop(signal.Signals(received).name))
    server = ConsoleServer(options.console, commands) if options.console else None
    try:
        if server is not None:
            server.start()
        terminal.start()
        try:
            return run()
        except AdapterError as error:
            events.error("error", reason=str(error))
            raise
    finally:
        if server is not None:
            server.stop()
        terminal.stop()
