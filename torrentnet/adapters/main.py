"""The command line of the adapters: ``client PROGRAM ...``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.adapter import AdapterError, ClientSettings
from torrentnet.adapters.commands import add_client_commands, add_tracker_commands
from torrentnet.adapters.node import ClientNode
from torrentnet.adapters.programs.aria2 import Aria2Adapter
from torrentnet.adapters.programs.deluge import DelugeAdapter
from torrentnet.adapters.programs.libtorrent import LibtorrentAdapter
from torrentnet.adapters.programs.opentracker import OpentrackerNode
from torrentnet.adapters.programs.qbittorrent import QbittorrentAdapter
from torrentnet.adapters.programs.rtorrent import RtorrentAdapter
from torrentnet.adapters.programs.transmission import TransmissionAdapter
from torrentnet.adapters.torrent import node_torrent
from torrentnet.console.program_shell import ProgramShell
from torrentnet.runtime.addresses import parse_address
from torrentnet.runtime.gate import await_network
from torrentnet.runtime.options import OptionParser, add_console_options, argument_type, file_content
from torrentnet.runtime.standard_streams import open_standard_streams
from torrentnet.runtime.units import parse_rate
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import LocalError, MetainfoError, os_error_text
from torrentnet.wire.metainfo import parse_torrent
from torrentnet.wire.names import check_peer_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from torrentnet.adapters.adapter import ClientAdapter
    from torrentnet.adapters.program_node import ProgramNode
    from torrentnet.wire.info import Info

ADAPTERS: Final[dict[str, type[ClientAdapter]]] = {
    "aria2": Aria2Adapter,
    "transmission": TransmissionAdapter,
    "libtorrent": LibtorrentAdapter,
    "rtorrent": RtorrentAdapter,
    "qbittorrent": QbittorrentAdapter,
    "deluge": DelugeAdapter,
}
PROGRAM: Final = "client"


def main(argv: Sequence[str] | None = None) -> int:
    """Run an adapter until it is stopped; return the exit status."""
    open_standard_streams()
    options = _parser().parse_args(argv)
    try:
        await_network()
        return _run_node(options)
    except LocalError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(prog=PROGRAM, description="Run another BitTorrent program as a node of a lab.")
    programs = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM", parser_class=OptionParser)
    endpoint = argument_type(lambda text: Endpoint(*parse_address(text, min_port=1)))
    torrent = argument_type(file_content(parse_torrent, MetainfoError))
    for name in ADAPTERS:
        add = programs.add_parser(name, help=f"run {name} as a peer", allow_abbrev=False).add_argument
        add("mode", choices=("share", "get"), help="share a local file, or download it")
        add("filename", metavar="FILENAME", help="the file's name")
        add("tracker", metavar="TRACKER_ADDRESS", type=endpoint, help="the tracker's IP:PORT (UDP)")
        add("listen", metavar="LISTEN_ADDRESS", type=endpoint, help="IP:PORT for other peers (TCP)")
        text = "the file's .torrent; its trackers are ignored"
        add("--torrent", metavar="FILE", type=torrent, required=True, help=text)
        add("--dir", type=Path, default=Path(), help="directory of the file (default: the current one)")
        text = "upload limit, as in 1MiB/s or 8mbit (default: none)"
        add("--upload-rate", metavar="RATE", type=argument_type(parse_rate), help=text)
        _add_common_options(add, "client")
    add = programs.add_parser("opentracker", help="run opentracker as the tracker", allow_abbrev=False).add_argument
    add("listen", metavar="LISTEN_ADDRESS", type=endpoint, help="IP:PORT to listen on (UDP)")
    text = "serve the info-hash of this .torrent; may be repeated"
    add("--torrent", metavar="FILE", type=torrent, action="append", default=[], help=text)
    _add_common_options(add, "tracker")
    return parser


def _add_common_options(add: Callable[..., object], name: str) -> None:
    add("--name", type=argument_type(check_peer_name), default=name, help=f"this node's name (default: {name})")
    add("--state", type=Path, help="directory for the program's own files (default: .torrentnet-NAME)")
    add_console_options(add)


def _make_state_directory(options: argparse.Namespace) -> Path:
    state: Path = (options.state or Path(f".torrentnet-{options.name}")).absolute()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AdapterError(f"cannot create {state}: {os_error_text(error)}") from None
    return state


def _make_client(options: argparse.Namespace, shell: ProgramShell) -> ProgramNode:
    info: Info = options.torrent
    if info.name != options.filename:
        raise AdapterError(f"the .torrent describes {info.name!r}, not {options.filename!r}")
    directory: Path = options.dir.absolute()
    seed = options.mode == "share"
    if not directory.is_dir():
        raise AdapterError(f"{directory} is not a directory")
    if seed and not (directory / info.name).is_file():
        raise AdapterError(f"{directory / info.name} does not exist")
    state = _make_state_directory(options)
    torrent = state / "node.torrent"
    torrent.write_bytes(node_torrent(info, options.tracker, options.name))
    settings = ClientSettings(
        info, torrent, seed, directory, state, options.listen, options.tracker, options.upload_rate
    )
    adapter = ADAPTERS[options.program](settings, lambda line: shell.events.warning("said", text=line))
    node = ClientNode(options.name, adapter, settings, shell.events)
    add_client_commands(shell.commands, node)
    return node


def _make_tracker(options: argparse.Namespace, shell: ProgramShell) -> ProgramNode:
    state = _make_state_directory(options)
    node = OpentrackerNode(options.name, options.listen, options.torrent, state, shell.events)
    add_tracker_commands(shell.commands, node)
    return node


def _run_node(options: argparse.Namespace) -> int:
    role, make = ("tracker", _make_tracker) if options.program == "opentracker" else ("client", _make_client)
    shell = ProgramShell(role, options.name, console=options.console, log_level=options.log_level)
    node = make(options, shell)

    def work() -> int:
        try:
            return node.run()
        except AdapterError as error:
            shell.events.error("error", reason=str(error))
            raise

    with shell:
        return shell.run(work, node.stop)
