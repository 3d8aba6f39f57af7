"""The command line of tracker.py, and the start of all its parts."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.console.program_shell import ProgramShell
from torrentnet.runtime.addresses import parse_address
from torrentnet.runtime.gate import await_network
from torrentnet.runtime.options import OptionParser, add_console_options, argument_type, file_content
from torrentnet.runtime.process import require_descriptors
from torrentnet.runtime.standard_streams import open_standard_streams
from torrentnet.runtime.system import MACHINE
from torrentnet.runtime.units import format_duration, parse_duration
from torrentnet.tracker.commands import CommandContext, add_commands
from torrentnet.tracker.core import Core
from torrentnet.tracker.journal.journal import Journal
from torrentnet.tracker.server import TrackerServer, bind
from torrentnet.tracker.settings import TrackerSettings
from torrentnet.wire.errors import LocalError, MetainfoError
from torrentnet.wire.metainfo import parse_torrent
from torrentnet.wire.names import check_peer_name
from torrentnet.wire.udp.connection_id import ConnectionIds

if TYPE_CHECKING:
    from torrentnet.runtime.system import System
    from torrentnet.wire.info import Info

PROGRAM: Final = "tracker.py"
FAILED: Final = 1
GC_THRESHOLD: Final = 50_000
MIN_DESCRIPTORS: Final = 24
"""Files and sockets that the tracker opens, with a journal on disk, a terminal and some console connections."""
MIN_KEEPALIVE: Final = 0.05
MAX_TIMEOUT: Final = 24 * 3600.0

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Parameters of ``mallopt(3)``."""
_LARGE_BLOCK: Final = 1024 * 1024
_MAX_TRIM: Final = 8 * 1024 * 1024
"""Free bytes at the end of the heap that the process keeps for later, instead of returning them to the kernel."""

_EPILOG: Final = """\
This terminal is the tracker's command line: type help. Examples:

  tracker.py 127.0.0.1:6771
  tracker.py 0.0.0.0:6771 --keepalive 500ms --timeout 2s --state /var/lib/torrentnet

Exit status: 0 after quit, SIGINT or SIGTERM; 1 when the work failed; 2 for a wrong command line.
"""


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """Values of the command line."""

    host: str
    port: int
    settings: TrackerSettings
    name: str
    state: Path | None
    seed: int | None
    console: Path | None
    log_level: str
    torrents: tuple[Info, ...] = ()


def main(arguments: list[str] | None = None) -> int:
    """Run the tracker until it is stopped, and return the exit status."""
    open_standard_streams()
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    try:
        require_descriptors(MIN_DESCRIPTORS)
        return _run(options)
    except LocalError as error:
        sys.stderr.write(f"{PROGRAM}: error: {error.message}{f' ({error.hint})' if error.hint else ''}\n")
        return FAILED


def parse_options(arguments: list[str]) -> TrackerOptions:
    """Parse the command line; for a wrong one, print the reason and exit with 2."""
    parser = OptionParser(
        prog=PROGRAM,
        description="A BitTorrent tracker over UDP that finds files by their names and logs every request.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "address",
        metavar="IP:PORT",
        type=argument_type(parse_address),
        help="IPv4 address or host name; port 0: any free port",
    )
    defaults = TrackerSettings()
    parser.add_argument(
        "--keepalive",
        metavar="TIME",
        type=argument_type(parse_duration),
        default=defaults.keepalive,
        help=f"how often peers announce: 500ms, 2s, 1m (default {format_duration(defaults.keepalive)})",
    )
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=argument_type(parse_duration),
        default=defaults.timeout,
        help=f"silence after which a peer expires (default {format_duration(defaults.timeout)})",
    )
    parser.add_argument(
        "--name", type=argument_type(check_peer_name), default="tracker", help="shown in the log (default tracker)"
    )
    parser.add_argument(
        "--state", metavar="DIR", type=Path, help="keep the journal in this directory (default: in memory)"
    )
    parser.add_argument(
        "--torrent",
        metavar="FILE",
        type=argument_type(file_content(parse_torrent, MetainfoError)),
        action="append",
        default=[],
        help="register the name of this .torrent's file at the start, for clients that announce none; may be repeated",
    )
    parser.add_argument(
        "--seed", metavar="N", type=argument_type(_seed), help="make the choice of listed peers repeatable"
    )
    add_console_options(parser.add_argument)
    parsed = parser.parse_args(arguments)
    if parsed.keepalive < MIN_KEEPALIVE:
        parser.error(f"--keepalive {format_duration(parsed.keepalive)} is too short: at least 50ms")
    if parsed.timeout > MAX_TIMEOUT:
        parser.error(f"--timeout {format_duration(parsed.timeout)} is too long: at most 24h")
    if parsed.timeout <= parsed.keepalive:
        parser.error(
            f"--timeout {format_duration(parsed.timeout)} must be longer than"
            f" --keepalive {format_duration(parsed.keepalive)}; three times as long works best"
        )
    host, port = parsed.address
    return TrackerOptions(
        host=host,
        port=port,
        settings=TrackerSettings(parsed.keepalive, parsed.timeout),
        name=parsed.name,
        state=parsed.state,
        seed=parsed.seed,
        torrents=tuple(parsed.torrent),
        console=Path(parsed.console) if parsed.console else None,
        log_level=parsed.log_level,
    )


def _run(options: TrackerOptions, system: System = MACHINE) -> int:
    release_large_blocks()
    await_network()
    shell = ProgramShell("tracker", options.name, console=options.console, log_level=options.log_level, system=system)
    events, clock = shell.events, system.monotonic

    def trouble(text: str) -> None:
        events.error("error", reason=text)

    with shell, contextlib.ExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(options.state, trouble=trouble, system=system)))
        sock = bind(options.host, options.port, system)
        core = Core(
            options.settings,
            ConnectionIds(system.make_secret(32), clock()),
            emit=events.emit,
            emit_lines=events.emit_lines,
            write=journal.write_all,
            wall_clock=system.wall_time,
            random=system.make_random(options.seed),
            first_request=journal.next_request,
            known_files=options.torrents,
            is_behind=journal.is_behind,
        )
        core.restore(journal.waiting(), clock())
        address = f"{sock.getsockname()[0]}:{sock.getsockname()[1]}"
        add_commands(shell.commands, CommandContext(options.name, address, core, journal, system))
        server = stack.enter_context(contextlib.closing(TrackerServer(sock, core, trouble, system)))
        journal.start()
        # Peers and requests form no reference cycles, so frequent collections would free nothing.
        gc.set_threshold(GC_THRESHOLD)

        def work() -> int:
            events.emit(
                "listening",
                program="tracker",
                name=options.name,
                address=address,
                keepalive_ms=options.settings.keepalive_ms,
                timeout_ms=options.settings.timeout_ms,
            )
            try:
                reason = server.run()
            except OSError as error:
                trouble(f"the socket is broken: {error.strerror or error}")
                return FAILED
            events.emit("closing", reason=reason)
            return 0

        return shell.run(work, server.stop)


def release_large_blocks() -> None:
    """Make the C library map each block of a MiB or more separately.

    Such a block grows in place, and its memory is returned when it is freed. By default, glibc puts large blocks on its
    heap after the first of them was freed (``mallopt(3)``, the dynamic threshold). There the columns and dictionaries
    of peers, which grow step by step, leave a sixth of the memory unused. Does nothing with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        library.mallopt(_M_TRIM_THRESHOLD, _MAX_TRIM)


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
