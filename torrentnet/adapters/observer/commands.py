"""Console of an observed program.

A line is typed into the program, unless the line begins with ``observer``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from torrentnet.adapters.observer.file_search import hash_files
from torrentnet.adapters.observer.socket_table import read_sockets
from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.runtime.process import EXIT_USAGE
from torrentnet.runtime.text import escape_controls
from torrentnet.runtime.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.adapters.observer.node import ObservedNode

OWN: str = "observer"
"""First word of the observer's own commands."""


def translate(says: Iterable[tuple[str, str]], line: str) -> str:
    """Return a command in the program's own words.

    The longest translation whose words begin the line is applied; what follows these words is kept.
    """
    words = line.split()
    best: tuple[list[str], str] | None = None
    for command, own in says:
        asked = command.split()
        if words[: len(asked)] == asked and (best is None or len(asked) > len(best[0])):
            best = asked, own
    if best is None:
        return line
    return " ".join([best[1], *words[len(best[0]) :]]).strip()


class ProgramCommands(Commands):
    """The commands of a node that runs a program under observation."""

    def __init__(self, name: str) -> None:
        super().__init__("program", name=name)
        self._node: ObservedNode | None = None

    def connect(self, node: ObservedNode) -> None:
        """Type into this node's program, and add the observer's commands."""
        self._node = node
        self.attach = node.terminal.attach
        _add_commands(self, node)

    def execute(
        self,
        line: str | Iterable[str],
        out: Callable[[str], None],
        err: Callable[[str], None],
        *,
        outside: bool = False,
    ) -> int:
        """Type a line into the program, or execute a command of the observer's own."""
        text = line if isinstance(line, str) else " ".join(words := list(line))
        if not text.strip():
            return 0
        if text.split()[0] == OWN:
            return super().execute(text if isinstance(line, str) else words, out, err, outside=outside)
        assert self._node is not None
        try:
            for answer in self._node.terminal.ask(translate(self._node.settings.says, text)):
                out(escape_controls(answer))
        except CommandError as error:
            err(escape_controls(f"error: {error.message}"))
            return error.status
        return 0

    def complete(self, text: str) -> list[str]:
        """Complete the observer's own commands only."""
        return super().complete(text) if text.startswith(OWN) else []


def _add_commands(commands: Commands, node: ObservedNode) -> None:
    def add(words: str, usage: str, summary: str, run: Callable[[list[str]], Iterable[str]], count: int) -> None:
        def checked(args: list[str]) -> Iterable[str]:
            if len(args) != count:
                raise CommandError(f"usage: {usage}", EXIT_USAGE)
            return run(args)

        commands.add(Command(tuple(words.split()), usage, summary, checked))

    add("observer status", "observer status", "show what is known of the program", lambda _: _status(node), 0)
    add(
        "observer files",
        "observer files SIZE",
        "list the files of so many bytes, with their SHA-256, as JSON",
        lambda args: _files(node, args[0]),
        1,
    )
    add("observer sockets", "observer sockets", "list the program's sockets, as JSON", lambda _: _sockets(node), 0)


def _status(node: ObservedNode) -> Iterator[str]:
    settings = node.settings
    yield f"program      {' '.join(settings.argv)}"
    yield f"state        {node.state}"
    yield f"process      {node.child.pid}"
    yield f"running for  {format_duration(node.uptime())}"
    if settings.wanted is not None:
        yield f"file         {settings.wanted.name} ({settings.wanted.size} bytes), {node.found or 'not there'}"


def _files(node: ObservedNode, size: str) -> Iterator[str]:
    if not (size.isascii() and size.isdigit() and len(size) < 19):
        raise CommandError("the size is a number of bytes, for example: observer files 1048576", EXIT_USAGE)
    for found in hash_files(node.settings.directory, int(size)):
        yield json.dumps({"path": found.path, "sha256": found.sha256})


def _sockets(node: ObservedNode) -> Iterator[str]:
    for one in read_sockets(node.user):
        yield json.dumps({"protocol": one.protocol, "address": str(one.address)})
