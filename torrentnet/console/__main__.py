"""Program that sends commands to a node over its console socket.

Run it as ``python3 -m torrentnet.console``. The launchers ``console``, ``request`` and ``file_logs`` start it. Only
options before the command are its own; every later word is sent to the node unchanged, so that ``file_logs -all``
works. argparse would take ``-all`` for an option.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from torrentnet.console.line_splitter import MAX_LINE_BYTES, LineSplitter
from torrentnet.console.remote.client import ConsoleClient, NoAnswerError
from torrentnet.console.remote.frames import RequestError
from torrentnet.console.table import for_terminal
from torrentnet.console.words import split_words
from torrentnet.runtime.process import (
    CONSOLE_VARIABLE,
    EXIT_INTERRUPTED,
    EXIT_PIPE_CLOSED,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
)
from torrentnet.runtime.standard_streams import open_standard_streams
from torrentnet.runtime.text import escape_controls, wrap_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEAVE_COMMANDS: Final = (["quit"], ["exit"])
ATTACH: Final = "attach"

USAGE: Final = """\
usage: console [--socket PATH]
           a prompt for the node's commands; help lists them
       console [--socket PATH] COMMAND...
           one command: console request logs --last 5
       console [--socket PATH] attach
           the terminal of a program that runs under observation
       console [--socket PATH] --ping
           does the node answer? exit status 0 or 3
       request ..., file_logs ...
           the same as console request ..., console file_logs ...

Talks to a running tracker or peer over its console socket.
  --socket PATH   the socket (default: the variable TORRENTNET_CONSOLE)
  --ping          ask for the node's name and print it
  --help          this text

Every word from COMMAND on is sent to the node unchanged. With standard input
from a pipe, each line is a command, and the exit status is that of the last
one. On a terminal, tables fit into its columns and long lines are wrapped
between words; in a pipe they are not.
"""


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Execute one call of a launcher and return its exit status.

    *argv* does not have the program's name.
    """
    open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a name is no reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        status = _main(list(argv), environ)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough (| head). Python would report the error again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _main(argv: list[str], environ: Mapping[str, str]) -> int:
    launcher, words, options, problem = _parse(argv)
    if problem:
        return _fail(f"{problem}; type console --help", EXIT_USAGE)
    if "--help" in options:
        print(USAGE)
        return 0
    path = options.get("--socket") or environ.get(CONSOLE_VARIABLE, "")
    if not path:
        return _fail(
            f"no console socket: give --socket PATH or set {CONSOLE_VARIABLE}"
            " to the path that the program was started with (--console PATH)",
            EXIT_USAGE,
        )
    client = ConsoleClient(path)
    try:
        if "--ping" in options:
            print(client.ping())
            return 0
        if words == [ATTACH] and launcher == "console":
            return _attach(client)
        if not words:
            return _prompt(client) if sys.stdin is not None and sys.stdin.isatty() else _script(client)
        # console "request logs --last 5" is a whole line in one word; file_logs has a file's name there.
        one_line = launcher == "console" and len(words) == 1 and " " in words[0]
        return _run(client, words[0] if one_line else tuple(words))
    except NoAnswerError as error:
        return _fail(str(error), EXIT_UNAVAILABLE)
    except RequestError as error:
        return _fail(str(error), EXIT_USAGE)


def _attach(client: ConsoleClient) -> int:
    # Imported here, as _prompt() does.
    from torrentnet.console.remote.attachment import attach

    if sys.stdin is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _fail("attach needs a terminal; to send one line to the program: console LINE", EXIT_USAGE)
    sys.stdout.flush()
    return attach(client, sys.stdin.fileno(), sys.stdout.fileno())


def _parse(argv: list[str]) -> tuple[str, list[str], dict[str, str], str]:
    """Parse the arguments of a launcher's call.

    Return the launcher's name, the words for the node, our own options, and what is wrong.
    """
    options: dict[str, str] = {}
    rest = list(argv)
    launcher = ""
    while rest:
        word = rest[0]
        name, equals, value = word.partition("=")
        if name == "--socket":
            rest.pop(0)
            if not equals:
                value = rest.pop(0) if rest else ""
            if not value:
                return launcher, [], {}, "--socket needs a path"
            options[name] = value
        elif launcher not in {"", "console"}:
            # request and file_logs: options are the command's.
            break
        elif word in {"--help", "-h", "--ping"}:
            rest.pop(0)
            options["--help" if word == "-h" else word] = ""
        elif word == "--":
            rest.pop(0)
            break
        elif word.startswith("-"):
            return launcher, [], {}, f"unknown option {escape_controls(word)}"
        elif not launcher:
            launcher = rest.pop(0)
        else:
            break
    if launcher not in {"", "console"}:
        rest.insert(0, launcher)
    return launcher, rest, options, ""


def _run(client: ConsoleClient, command: str | tuple[str, ...]) -> int:
    words = split_words_or_none(command) if isinstance(command, str) else list(command)
    if words in LEAVE_COMMANDS and not client.observes_program():
        return _fail(
            "quit leaves the console's prompt, not the node; quit the node in its own terminal, or stop its container",
            EXIT_USAGE,
        )
    output = _LineOutput()
    try:
        with for_terminal(output.width):
            return client.run(command, output.write, _write_err)
    finally:
        output.finish()


def _script(client: ConsoleClient) -> int:
    """Execute each line of standard input; return the status of the last one."""
    status = 0
    splitter = LineSplitter()
    ended = sys.stdin is None
    while not ended:
        data = os.read(sys.stdin.fileno(), MAX_LINE_BYTES)
        ended = not data
        for line in splitter.feed(data) if data else splitter.finish():
            if line is None:
                status = _fail(f"the line is too long: at most {MAX_LINE_BYTES} bytes are allowed", EXIT_USAGE)
            elif split_words_or_none(line) in LEAVE_COMMANDS:
                return status
            elif line.strip():
                status = _run(client, line)
    return status


class _RemoteCommands:
    """A node's commands for a terminal, executed over the socket."""

    def __init__(self, client: ConsoleClient, name: str, on_quit: Callable[[], None]) -> None:
        self.name = name
        self.on_quit = on_quit
        self._client = client
        self._rest = ""

    def execute(self, line: str, out: Callable[[str], None], err: Callable[[str], None]) -> int:
        words = split_words_or_none(line)
        if words in LEAVE_COMMANDS:
            self.on_quit()
            return 0
        if words == []:
            return 0
        self._rest = ""

        def lines_out(text: str) -> None:
            *whole, self._rest = (self._rest + text).split("\n")
            for text_line in whole:
                out(escape_controls(text_line))

        try:
            status = self._client.run(line, lines_out, lambda text: err(escape_controls(text.rstrip("\n"))))
        except (NoAnswerError, RequestError) as error:
            status = EXIT_UNAVAILABLE
            err(escape_controls(f"error: {error}"))
        if self._rest:
            out(escape_controls(self._rest))
        return status

    def complete(self, text: str) -> list[str]:
        try:
            return self._client.complete(text)
        except (NoAnswerError, RequestError):
            return []


def _prompt(client: ConsoleClient) -> int:
    """Run the interactive prompt and return the exit status.

    Ctrl-C cancels an answer or discards the line. At an empty prompt, Ctrl-C leaves.
    """
    # Imported here, because a health check every few seconds on every node should load little.
    from queue import SimpleQueue

    from torrentnet.console.terminal.terminal import Terminal

    name = client.ping()
    # Unlike an Event, a SimpleQueue may be used by a signal handler while the same thread waits for it.
    left: SimpleQueue[None] = SimpleQueue()

    def leave() -> None:
        left.put(None)

    terminal = Terminal(_RemoteCommands(client, name, leave), sys.stdin, sys.stdout)

    def interrupt(_number: int, _frame: object) -> None:
        if not client.cancel() and not terminal.discard_line():
            leave()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, lambda *_: leave())
    terminal.write_line(f"console of {escape_controls(name)}: help lists the commands, quit or Ctrl-D leaves")
    terminal.start()
    try:
        left.get()
    finally:
        terminal.stop()
    return 0


def split_words_or_none(line: str) -> list[str] | None:
    """Return the words of a line, or None when a quote is not closed.

    The node reports the open quote.
    """
    try:
        return split_words(line)
    except ValueError:
        return None


class _LineOutput:
    """Standard output; on a terminal, long lines are wrapped between words."""

    def __init__(self) -> None:
        self.width: int | None = None
        self._rest = ""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self.width = os.get_terminal_size(sys.stdout.fileno()).columns or None

    def write(self, text: str) -> None:
        if self.width is None:
            _write_out(text)
            return
        *whole, self._rest = (self._rest + text).split("\n")
        _write_out("".join(f"{part}\n" for line in whole for part in wrap_line(line, self.width)))

    def finish(self) -> None:
        """Write what follows the last newline."""
        if self._rest:
            _write_out(self._rest)


def _write_out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _write_err(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(text)
    sys.stderr.flush()


def _fail(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
