"""A minimal program with a terminal, an event log and a console.

The program is for tests that need a process.

    python demo.py [--console PATH] [--ticks FIFO] [--handlers]

It emits an event ``tick`` for every line of the FIFO that ``--ticks`` names, and ends in order on quit. With
``--handlers`` it has signal handlers of its own, as the tracker and the peers do.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.remote.server import ConsoleServer, ConsoleServerError
from torrentnet.console.terminal.terminal import Terminal
from torrentnet.runtime.events import EventLog
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> int:
    """Run until the command ``quit`` or a signal ends the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--console")
    parser.add_argument("--ticks")
    parser.add_argument("--handlers", action="store_true")
    options = parser.parse_args()
    # Not a threading.Event: a signal handler that sets one deadlocks if it interrupts the beginning of the wait.
    ended: SimpleQueue[str] = SimpleQueue()

    def quit_(reason: str = "asked to") -> None:
        ended.put(reason)

    def file_logs(args: list[str]) -> Iterator[str]:
        if not args:
            raise CommandError("file_logs needs a name, or -all", status=2)
        if args[0] not in {"-all", "my file.txt"}:
            raise CommandError(f'no file named "{args[0]}" was ever published')
        yield f"about {args[0]}"

    def count(args: list[str]) -> Iterator[str]:
        for number in range(int(args[0])):
            yield f"line {number}"

    def emit(args: list[str]) -> Iterator[str]:
        for number in range(int(args[0])):
            log.emit("emitted", number=number)
        return iter(())

    commands = Commands("demo", name="demo-1", on_quit=quit_)
    commands.add(Command(("request", "logs"), "request logs", "what was asked", lambda _: ["nothing was asked"]))
    commands.add(
        Command(("file_logs",), "file_logs -all | NAME", "files", file_logs, lambda *_: ["-all", "my file.txt"])
    )
    commands.add(Command(("count",), "count N", "N lines", count))
    commands.add(Command(("emit",), "emit N", "N events", emit))
    terminal = Terminal(commands, sys.stdin, sys.stdout)
    log = EventLog(terminal.write_line)
    if options.handlers:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: quit_(signal.Signals(number).name))
    server = None
    if options.console:
        server = ConsoleServer(options.console, commands)
        try:
            server.start()
        except ConsoleServerError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    log.emit("listening", program="demo", name="demo-1")
    terminal.start()
    if options.ticks:
        threading.Thread(target=_tick, args=(options.ticks, log), daemon=True).start()
    reason = ended.get()
    log.emit("closing", reason=reason)
    if server is not None:
        server.stop()
    terminal.stop()
    return 0


def _tick(path: str, log: EventLog) -> None:
    block_signals()
    with open(path, encoding="utf-8") as ticks:
        for line in ticks:
            log.emit("tick", text=line.rstrip("\n"))


if __name__ == "__main__":
    sys.exit(main())
