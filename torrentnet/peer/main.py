"""``peer.py share|get <FILENAME> <TRACKER_ADDRESS> <LISTEN_ADDRESS>``.

Tested by tests/loopback/test_peer_messages.py.
Tested by tests/loopback/test_peer_failures.py.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet import __version__
from torrentnet.console.program_shell import ProgramShell
from torrentnet.peer.commands import add_commands
from torrentnet.peer.node import Peer
from torrentnet.peer.response_log import ResponseLog
from torrentnet.peer.settings import PeerSettings
from torrentnet.peer.storage.file_store import storage_error
from torrentnet.peer.strategies.task import Timeouts
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.runtime.addresses import parse_address
from torrentnet.runtime.gate import await_network
from torrentnet.runtime.options import OptionParser, add_console_options, argument_type
from torrentnet.runtime.process import EXIT_FAILED, EXIT_USAGE
from torrentnet.runtime.standard_streams import open_standard_streams
from torrentnet.runtime.system import MACHINE, System
from torrentnet.runtime.units import parse_duration, parse_rate, parse_size
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import InvalidNameError, LocalError, MetainfoError, os_error_text
from torrentnet.wire.info import MAX_PIECE_LENGTH, MIN_PIECE_LENGTH
from torrentnet.wire.metainfo import magnet_link, parse_magnet, parse_torrent, torrent_file
from torrentnet.wire.names import check_file_name, check_peer_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.wire.info import Info

_ABOUT: Final = """\
A peer of a simple torrent network. `share` offers a file that is here; `get` asks the tracker which peers have all of
the file of that name, downloads it from one of them, chosen at random, and then stays as a seed.

Other people's trackers know no names: with one of them, give `get` a magnet link instead of the name, or a --torrent.

The terminal is the peer's command line too: type `request logs`, `status`, `help` or `quit`.
"""
_EXAMPLES: Final = """\
examples:
  peer.py share myfile.txt 127.0.0.1:6771 127.0.0.1:52611
  peer.py get myfile.txt 127.0.0.1:6771 127.0.0.1:52612 --dir downloads
  peer.py get 'magnet:?xt=urn:btih:...&dn=myfile.txt' 127.0.0.1:6969 127.0.0.1:52613

exit status: 0 orderly end, 1 the file could not be shared or downloaded, 2 wrong command line
"""

_LISTEN_HINTS: Final = {
    errno.EADDRINUSE: "another program has the port; port 0 takes any free one",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "ports below 1024 need a privilege; choose a higher one, or 0 for any free one",
}
_LISTEN_BACKLOG: Final = 256


class CommandLineError(LocalError):
    """The arguments contradict each other, or one has a wrong value."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a peer until it is stopped, and return the exit status."""
    open_standard_streams()
    options = _parser().parse_args(argv)
    try:
        return _run(options, MACHINE)
    except LocalError as error:
        print(f"peer.py: error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, (CommandLineError, InvalidNameError)) else EXIT_FAILED
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            raise
        print(
            f"peer.py: error: {os_error_text(error)}\n  hint: allow more, for example `ulimit -n 64`", file=sys.stderr
        )
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(
        prog="peer.py",
        description=_ABOUT,
        epilog=_EXAMPLES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("mode", choices=("share", "get"), help="share a file that is here, or get a file by its name")
    add("filename", metavar="FILENAME", help="the file's name; with share its path, with get perhaps a magnet link")
    add("tracker", metavar="TRACKER_ADDRESS", help="the tracker's HOST:PORT (UDP)")
    add("listen", metavar="LISTEN_ADDRESS", help="HOST:PORT to listen on for other peers (TCP); port 0 is any free one")
    add("--name", help="this peer's name in lists and logs (default: peer-PORT)")
    add("--dir", type=Path, default=Path(), help="directory of the file (default: the current one)")
    add("--seed", type=int, help="seed of the random choices, so that a run can be repeated (default: none)")
    add(
        "--piece-length",
        metavar="SIZE",
        type=argument_type(parse_size),
        help="piece length for sharing, a power of two, 16KiB to 64MiB (default: 256KiB, more for large files)",
    )
    add(
        "--timeout",
        metavar="DURATION",
        type=argument_type(parse_duration),
        default=15.0,
        help="replace a source that sends nothing for this long (default: 15s)",
    )
    add(
        "--give-up",
        metavar="DURATION",
        type=argument_type(parse_duration),
        default=60.0,
        help="fail without a new piece for this long (default: 60s)",
    )
    add(
        "--min-rate",
        metavar="RATE",
        type=argument_type(parse_rate),
        default=16 * 1024.0,
        help="replace a source slower than this while there is another one to try (default: 16KiB/s)",
    )
    add("--upload-rate", metavar="RATE", type=argument_type(parse_rate), help="send at most this: 1MiB/s, 8mbit")
    add(
        "--torrent",
        metavar="FILE",
        type=Path,
        help="with share: write a .torrent, so that any client can join, or share by the one that exists; with get:"
        " read one, for a plain tracker",
    )
    add("--force", action="store_true", help="with share: write the .torrent anew where there is a file of its name")
    add(
        "--public",
        action="store_true",
        help="with share: leave out BEP 27's mark `private`; Transmission and libtorrent send the info dictionary of a"
        " private file to no peer that has only its name or a magnet link",
    )
    add(
        "--small-blocks",
        action="store_true",
        help="send blocks of at most 16 KiB to our own peers too, as to all others: Wireshark reads no larger ones",
    )
    add(
        "--corrupt-uploads",
        action="store_true",
        help="send every piece with one byte changed: a bad seed, to test other peers with",
    )
    add(
        "--strategy",
        choices=("single", "swarm"),
        default="single",
        help="with get: all pieces from one complete peer, or from every peer that has some (default: single)",
    )
    add_console_options(add)
    add("--version", action="version", version=f"torrentnet {__version__}")
    return parser


def _run(options: argparse.Namespace, system: System) -> int:
    if options.mode == "get" and options.piece_length is not None:
        raise CommandLineError("--piece-length is for share only: with get, the swarm has a piece length already")
    if options.mode == "get" and options.public:
        raise CommandLineError("--public is for share only: with get, the swarm has an info dictionary already")
    known, info = _parse_target(options) if options.mode == "get" else (None, None)
    path = _check_path(options)
    if options.mode == "share" and options.torrent is not None and options.torrent.is_file() and not options.force:
        info = _read_description(options, path.name)
    piece_length = None if options.piece_length is None else int(options.piece_length)
    if piece_length is not None and (
        not MIN_PIECE_LENGTH <= piece_length <= MAX_PIECE_LENGTH or piece_length & (piece_length - 1)
    ):
        raise CommandLineError("--piece-length must be a power of two from 16KiB to 64MiB")
    if not (options.timeout > 0 and options.give_up > 0):
        raise CommandLineError("--timeout and --give-up must be longer than zero")
    await_network()
    options.tracker = _without_scheme(options.tracker)
    tracker = resolve_address(options.tracker, "tracker address", min_port=1, system=system)
    listen = resolve_address(options.listen, "listen address", min_port=0, system=system)
    listener = open_listener(listen, system)
    own = Endpoint(*listener.getsockname()[:2])
    name = check_peer_name(options.name or f"peer-{own.port}")
    log = ResponseLog(system.wall_time)
    settings = PeerSettings(
        share=options.mode == "share",
        path=path,
        tracker=tracker,
        name=name,
        piece_length=piece_length,
        upload_rate=options.upload_rate,
        timeouts=Timeouts(options.timeout, options.give_up, options.min_rate),
        known=known,
        info=info,
        private=not options.public,
        strategy=options.strategy,
        small_blocks=options.small_blocks,
        corrupt=options.corrupt_uploads,
    )

    shell = ProgramShell("peer", name, console=options.console, log_level=options.log_level, system=system)
    events = shell.events

    def on_shared(store: FileStore) -> None:
        link = magnet_link(store.info, options.tracker, None if own.ip == "0.0.0.0" else own)
        events.emit("magnet", link=link)
        if options.torrent is not None and info is None:
            _write_torrent(options.torrent, torrent_file(store.info, options.tracker), replace=options.force)

    with shell:
        peer = Peer(settings, listener, system.make_random(options.seed), events, log, on_shared, system)
        add_commands(shell.commands, peer, log)

        def work() -> int:
            events.emit("listening", program="peer", name=name, address=own)
            return peer.run()

        return shell.run(work, peer.stop)


def _parse_target(options: argparse.Namespace) -> tuple[Membership | None, Info | None]:
    """Return the file that the magnet link or .torrent describes, and its info.

    The info is the file's info dictionary. The name in a magnet link replaces the link in ``options``.
    """
    given: str = options.filename
    if given[:7].lower() == "magnet:":
        if options.torrent is not None:
            raise CommandLineError("a magnet link and --torrent both describe the file", hint="use one of them")
        try:
            magnet = parse_magnet(given)
        except MetainfoError as error:
            raise CommandLineError(error.message) from None
        options.filename = magnet.name
        return Membership(magnet.info_hash, magnet.name, 0, 0), None
    if options.torrent is None:
        if "/" in given and given.endswith(".torrent"):
            raise CommandLineError(
                f"{given} is a path, not the name of a shared file",
                hint=f"write the name, and add --torrent {given}",
            )
        return None, None
    info = _read_torrent(options.torrent, given)
    return Membership.from_info(info, info.name), info


def _read_torrent(path: Path, name: str) -> Info:
    try:
        info = parse_torrent(path.read_bytes())
    except OSError as error:
        raise LocalError(f"cannot read {path}: {os.strerror(error.errno or 0).lower()}") from None
    except MetainfoError as error:
        raise LocalError(f"{path}: {error.message}") from None
    if info.name != name:
        raise CommandLineError(f"{path} is the .torrent of {info.name!r}, not of {name!r}")
    return info


def _read_description(options: argparse.Namespace, name: str) -> Info:
    """Return the info dictionary of a .torrent that exists, which is shared as it is."""
    hint = f"choose another name, or replace it with --force: {options.torrent} exists"
    try:
        info = _read_torrent(options.torrent, name)
    except LocalError as error:
        raise type(error)(error.message, hint=hint) from None
    if options.piece_length is not None or options.public:
        raise CommandLineError("the .torrent that exists says how the file is shared, not the options", hint=hint)
    return info


def _check_path(options: argparse.Namespace) -> Path:
    given = Path(options.filename)
    directory: Path = options.dir
    if options.mode == "share":
        path = directory / given
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            raise storage_error(error, path) from None
        if stat.S_ISDIR(mode):
            raise LocalError(f"{path} is a directory; only single files are shared")
        check_file_name(path.name)
        if options.torrent is not None:
            # The .torrent is written after the tracker has registered the file, but report an obvious mistake now.
            if os.path.isdir(options.torrent):
                raise _write_error(options.torrent, errno.EISDIR)
            if not os.path.isdir(options.torrent.parent):
                raise _write_error(options.torrent, errno.ENOENT)
        return path
    check_file_name(options.filename)
    try:
        is_directory = stat.S_ISDIR(os.stat(directory).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_directory = False
    except OSError as error:
        raise storage_error(error, directory) from None
    if not is_directory:
        raise LocalError(f"{directory} is not a directory", hint="create it, or choose another one with --dir")
    return directory / given


def _without_scheme(address: str) -> str:
    """Return the HOST:PORT in a tracker's URL, which links contain."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    if scheme.lower() != "udp":
        raise CommandLineError(f"tracker address: `{address}` is no UDP tracker; write HOST:PORT or udp://HOST:PORT")
    return rest.partition("/")[0]


def _write_torrent(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a .torrent, but over one that was made meanwhile only with ``replace``."""
    special = path.exists() and not path.is_file()
    try:
        with path.open("wb" if replace or special else "xb") as file:
            file.write(content)
    except OSError as error:
        raise _write_error(path, error.errno) from None


def _write_error(path: Path, number: int | None) -> LocalError:
    return LocalError(f"cannot write {path}: {os.strerror(number or 0).lower()}")


def resolve_address(text: str, what: str, *, min_port: int, system: System = MACHINE) -> Endpoint:
    """Return ``HOST:PORT`` as an IPv4 endpoint; ``what`` names the argument in errors.

    Raises :class:`CommandLineError` for any other form, and :class:`LocalError` for an unknown host.
    """
    try:
        host, port = parse_address(text, min_port=min_port)
    except ValueError as error:
        raise CommandLineError(f"{what}: {error}") from None
    try:
        return Endpoint(system.resolve_host(host), port)
    except (OSError, UnicodeError):
        raise LocalError(f"{what} {text!r}: no IPv4 address is known for {host!r}") from None


def open_listener(endpoint: Endpoint, system: System = MACHINE) -> socket.socket:
    """Return a listening TCP socket; raise :class:`LocalError` on failure."""
    sock = system.make_socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(tuple(endpoint))
        sock.listen(_LISTEN_BACKLOG)
    except OSError as error:
        sock.close()
        raise LocalError(
            f"cannot listen on {endpoint}: {os.strerror(error.errno or 0).lower()}",
            hint=_LISTEN_HINTS.get(error.errno or 0, ""),
        ) from None
    return sock
