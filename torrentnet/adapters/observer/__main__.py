"""The command line of the observer: ``python3 -m torrentnet.adapters.observer``.

Tested by tests/unit/adapters/observer/test_main.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.observer import settings as limits
from torrentnet.adapters.observer.child import ProgramChild
from torrentnet.adapters.observer.commands import ProgramCommands
from torrentnet.adapters.observer.node import ObservedNode
from torrentnet.adapters.observer.settings import ROLES, ObserverSettings, WantedFile
from torrentnet.console.program_shell import ProgramShell
from torrentnet.runtime.addresses import parse_address
from torrentnet.runtime.gate import await_network
from torrentnet.runtime.options import OptionParser, add_console_options, argument_type
from torrentnet.runtime.process import EXIT_FAILED
from torrentnet.runtime.standard_streams import open_standard_streams
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

PROGRAM: Final = "observe"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a program under observation until it ends; return its exit status."""
    open_standard_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows the first `--` is the program's, whatever it looks like.
    end = words.index("--") if "--" in words else len(words)
    parser = _parser()
    options = parser.parse_args(words[:end])
    if not words[end + 1 :]:
        parser.error("the program's command line is missing: write it after `--`")
    try:
        return _run(parse_settings(options, words[end + 1 :]))
    except LocalError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return EXIT_FAILED


def _run(options: tuple[ObserverSettings, str | None, str]) -> int:
    settings, console, log_level = options
    if console and settings.user is not None:
        close_directory(Path(console).absolute().parent, settings.directory)
    # Forked first: no other thread runs yet.
    child = ProgramChild(settings, os.environ)
    commands = ProgramCommands(settings.name)
    shell = ProgramShell("program", settings.name, console=console, log_level=log_level, commands=commands)
    node = ObservedNode(settings, child, shell.events, MACHINE)
    commands.connect(node)

    def work() -> int:
        await_network()
        return node.run()

    with shell:
        return shell.run(work, node.stop)


def close_directory(console: Path, directory: Path) -> None:
    """Keep the program's user out of the console's directory.

    A container's directory may come with the modes of its image, where everybody may write. One in which the program's
    own directory lies stays open.
    """
    if not directory.is_relative_to(console):
        with contextlib.suppress(OSError):
            console.chmod(0o700)


def _endpoint(text: str) -> Endpoint:
    return Endpoint(*parse_address(text, min_port=1))


def _named_endpoint(text: str) -> tuple[str, Endpoint]:
    name, equals, address = text.partition("=")
    if not (name and equals):
        raise ValueError(f"`{text}` is not NAME=IP:PORT")
    return name, _endpoint(address)


def _translation(text: str) -> tuple[str, str]:
    command, equals, own = text.partition("=")
    if not (command.split() and equals and own.split()):
        raise ValueError(f'`{text}` is not "COMMAND=ITS OWN WORDS"')
    return command, own


def _user(text: str) -> tuple[int, int]:
    if not (found := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)):
        raise ValueError(f"`{text}` is not UID:GID; write numbers, for example `10001:10001`")
    return int(found[1]), int(found[2])


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"`{text}` is not a SHA-256; write 64 hexadecimal digits in small letters")
    return text


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise ValueError(f"`{text}` is not a number of seconds")
    return float(text)


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} ROLE --name NAME [OPTIONS] -- COMMAND...",
        description="Run any program as a node of a lab, and report what is seen of it from outside.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    endpoint = argument_type(_endpoint)
    seconds = argument_type(_number)
    add("role", choices=ROLES, help="what the program is in the lab")
    add("--name", required=True, help="the node's name")
    add("--listen", metavar="IP:PORT", type=endpoint, help="where the program was told to listen")
    add("--tracker", metavar="IP:PORT", type=endpoint, help="the tracker's address as the program was told")
    text = "the node's directory, the program's working directory and home (default: the current one)"
    add("--dir", metavar="DIR", type=Path, default=Path(), help=text)
    text = "files of the program, copied into the node's directory before it starts"
    add("--program", metavar="DIR", type=Path, help=text)
    add("--files", metavar="SUBFOLDER", default="", help="where in its directory the program keeps what it shares")
    add("--share", metavar="PATH", type=Path, help="copy this file there, under the name of --file, before the start")
    text = "write this .torrent into the node's directory before the start, with the tracker's address"
    add("--torrent", metavar="PATH", type=Path, help=text)
    add("--file", metavar="NAME", help="name of the file that the node shares or gets")
    add("--size", metavar="BYTES", type=int, help="the file's size")
    add("--sha256", metavar="HEX", type=argument_type(_sha256), help="the file's SHA-256")
    text = f"after so long the program counts as up, whatever its sockets (default: {limits.READY_TIMEOUT:g})"
    add("--ready", metavar="SECONDS", type=seconds, default=limits.READY_TIMEOUT, help=text)
    add("--user", metavar="UID:GID", type=argument_type(_user), help="run the program as this user")
    text = "the program's own words for a command of the console; may be repeated"
    add("--says", metavar="COMMAND=WORDS", type=argument_type(_translation), action="append", default=[], help=text)
    text = "a node of the lab, with its own address and the port that it was told; may be repeated"
    add("--node", metavar="NAME=IP:PORT", type=argument_type(_named_endpoint), action="append", default=[], help=text)
    add("--datagrams", action="store_true", help="report UDP datagrams")
    text = f"drop the program's lines after so many bytes (default: {limits.MAX_OUTPUT})"
    add("--max-output", metavar="BYTES", type=int, default=limits.MAX_OUTPUT, help=text)
    text = f"silence that ends a prompt or an answer (default: {limits.QUIET:g})"
    add("--quiet", metavar="SECONDS", type=seconds, default=limits.QUIET, help=text)
    text = f"longest wait for an answer to a typed line (default: {limits.ANSWER_TIMEOUT:g})"
    add("--answer", metavar="SECONDS", type=seconds, default=limits.ANSWER_TIMEOUT, help=text)
    add_console_options(add)
    return parser


def parse_settings(options: argparse.Namespace, argv: Sequence[str]) -> tuple[ObserverSettings, str | None, str]:
    """Return the settings, the path of the console and the log level."""
    parts = (options.file, options.size, options.sha256)
    if any(part is not None for part in parts) != all(part is not None for part in parts):
        raise LocalError("--file, --size and --sha256 belong together", hint="give all three, or none")
    wanted = WantedFile(*parts) if options.file is not None else None
    settings = ObserverSettings(
        role=options.role,
        name=options.name,
        argv=tuple(argv),
        directory=options.dir.absolute(),
        listen=options.listen,
        tracker=options.tracker,
        program=options.program.absolute() if options.program else None,
        files=options.files,
        share=options.share.absolute() if options.share else None,
        torrent=options.torrent.absolute() if options.torrent else None,
        wanted=wanted,
        ready=options.ready,
        user=options.user,
        says=tuple(options.says),
        nodes=tuple(options.node),
        datagrams=options.datagrams,
        max_output=options.max_output,
        quiet=options.quiet,
        answer_timeout=options.answer,
    )
    return settings, options.console, options.log_level


if __name__ == "__main__":
    sys.exit(main())
