"""``python3 -m torrentnet.console``: a node's commands from outside.

The launchers ``console``, ``request`` and ``file_logs`` start it. Only options that stand before the command are its
own; every word after it goes to the node as it is, so that ``file_logs -all`` means what it says. That is why there is
no argparse here: it takes ``-all`` for an option.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from torrentnet.console.line_splitter import MAX_LINE_BYTES, LineSplitter
from torrentnet.console.remote.client import EXIT_NO_ANSWER, ConsoleClient, NoAnswerError
from torrentnet.console.remote.frames import RequestError
from torrentnet.console.words import split_words
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CONSOLE_VARIABLE: Final = "TORRENTNET_CONSOLE"
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
"""What shells see of a command that Ctrl-C ended."""
EXIT_PIPE_CLOSED: Final = 141
"""What shells see of a command whose reader went away."""
LEAVE_COMMANDS: Final = (["quit"], ["exit"])

USAGE: Final = """\
usage: console [--socket PATH]                 a prompt for the node's commands; help lists them
       console [--socket PATH] COMMAND...      one command: console request logs --last 5
       console [--socket PATH] --ping          is the node there? exit status 0 or 3
       request ..., file_logs ...              the same as console request ..., console file_logs ...

Talks to a running tracker or peer over its console socket.
  --socket PATH   the socket (default: the environment variable TORRENTNET_CONSOLE)
  --ping          ask for the node's name and print it
  --help          this text

Every word from COMMAND on goes to the node as it is. With standard input from a pipe, each line is a command, and
the exit status is the last one's.
Exit status: 0 done, 1 the command failed, 2 wrong words, 3 nobody answers."""


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Carries out one call of a launcher (*argv* without the program's name) and gives its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # Not every terminal can show every name; a name that cannot be shown is no reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        status = _main(list(argv), environ)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has what it wanted (| head). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _main(argv: list[str], environ: Mapping[str, str]) -> int:
    launcher, words, options, problem = _parse(argv)
    if problem:
        return _fail(f"{problem}; console --help shows how it is used", EXIT_USAGE)
    if "--help" in options:
        print(USAGE)
        return 0
    path = options.get("--socket") or environ.get(CONSOLE_VARIABLE, "")
    if not path:
        return _fail(
            f"no console socket is known: give --socket PATH or set {CONSOLE_VARIABLE},"
            " to what the program was started with (--console PATH)",
            EXIT_USAGE,
        )
    client = ConsoleClient(path)
    try:
        if "--ping" in options:
            print(client.ping())
            return 0
        if not words:
            return _prompt(client) if sys.stdin is not None and sys.stdin.isatty() else _script(client)
        # console "request logs --last 5": a whole line in one word. A file's name goes through file_logs as it is.
        one_line = launcher == "console" and len(words) == 1 and " " in words[0]
        return _run(client, words[0] if one_line else tuple(words))
    except NoAnswerError as error:
        return _fail(str(error), EXIT_NO_ANSWER)
    except RequestError as error:
        return _fail(str(error), EXIT_USAGE)


def _parse(argv: list[str]) -> tuple[str, list[str], dict[str, str], str]:
    """The launcher's name, the node's words, our options (they come before those words), and what is wrong."""
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
            # request and file_logs: what begins with a dash is theirs.
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
    if words in LEAVE_COMMANDS:
        return _fail(
            "quit leaves the console's prompt and does not end the node;"
            " end it in its own terminal, or stop its container",
            EXIT_USAGE,
        )
    return client.run(command, _write_out, _write_err)


def _script(client: ConsoleClient) -> int:
    """Each line of standard input is a command; the last one's status is ours."""
    status = 0
    splitter = LineSplitter()
    ended = sys.stdin is None
    while not ended:
        data = os.read(sys.stdin.fileno(), MAX_LINE_BYTES)
        ended = not data
        for line in splitter.feed(data) if data else splitter.finish():
            if line is None:
                status = _fail(f"the line is too long: at most {MAX_LINE_BYTES} bytes are taken", EXIT_USAGE)
            elif split_words_or_none(line) in LEAVE_COMMANDS:
                return status
            elif line.strip():
                status = client.run(line, _write_out, _write_err)
    return status


class _RemoteCommands:
    """A node's commands as a terminal wants them."""

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
            for one in whole:
                out(escape_controls(one))

        try:
            status = self._client.run(line, lines_out, lambda text: err(escape_controls(text.rstrip("\n"))))
        except (NoAnswerError, RequestError) as error:
            status = EXIT_NO_ANSWER
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
    """The prompt. Ctrl-C breaks off an answer or drops a line, at an empty prompt it leaves."""
    # Only here, because a health check every few seconds on every node should load as little as it can.
    from queue import SimpleQueue

    from torrentnet.console.terminal.terminal import Terminal

    name = client.ping()
    # Unlike an event, a simple queue may be used by the handler of a signal that struck while it was being waited on.
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
    """The words of a line, or None where a quote is left open: then the node says so."""
    try:
        return split_words(line)
    except ValueError:
        return None


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
