"""Console of an observed program.

A line is typed into the program, unless the line begins with ``observer``.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.adapters.observer import probes
from torrentnet.adapters.observer.file_search import hash_files
from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.runtime.addresses import parse_address
from torrentnet.runtime.process import EXIT_USAGE
from torrentnet.runtime.text import escape_controls
from torrentnet.runtime.units import format_duration
from torrentnet.wire.endpoint import Endpoint

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
    def add(
        words: str, usage: str, summary: str, run: Callable[[list[str]], Iterable[str]], least: int, most: int = 0
    ) -> None:
        def checked(args: list[str]) -> Iterable[str]:
            if not least <= len(args) <= max(least, most):
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
    text = "show the packets and bytes of each network interface, as /proc/net/dev has them"
    add("observer interfaces", "observer interfaces", text, lambda _: _interfaces(), 0)
    add("observer pairs", "observer pairs", "list the bytes to and from each peer, as JSON", lambda _: _pairs(node), 0)
    add(
        "observer datagrams",
        "observer datagrams [N]",
        "list the newest datagrams, as JSON",
        partial(_datagrams, node),
        0,
        1,
    )
    add(
        "observer send garbage",
        "observer send garbage NODE|IP:PORT [COUNT [SEED]]",
        "send datagrams that mean nothing",
        partial(_send_garbage, node),
        1,
        3,
    )
    add(
        "observer replay",
        "observer replay NAME NODE|IP:PORT",
        "send the program's own request again, for another file name",
        partial(_replay, node),
        2,
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


def _number(text: str, what: str, example: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise CommandError(f"the {what} is a number, for example: {example}", EXIT_USAGE)
    return int(text)


def _files(node: ObservedNode, size: str) -> Iterator[str]:
    for found in hash_files(node.settings.directory, _number(size, "size", "observer files 1048576")):
        yield json.dumps({"path": found.path, "sha256": found.sha256})


def _pairs(node: ObservedNode) -> Iterator[str]:
    for peer, total in sorted(node.network.totals.items()):
        yield json.dumps({"peer": peer, "received": total.received, "sent": total.sent})


def _interfaces() -> Iterable[str]:
    return Path("/proc/thread-self/net/dev").read_text("ascii").splitlines()


def _datagrams(node: ObservedNode, args: list[str]) -> Iterator[str]:
    network = node.network
    if network.capture is None or not node.settings.datagrams:
        raise probes.unseen("datagrams are not captured in this node")
    kept = list(network.packets.kept)
    last = _number(args[0], "number", "observer datagrams 10") if args else len(kept)
    for one in kept[-last:] if last else ():
        yield json.dumps(
            {
                "time": round(one.time, 6),
                "direction": "out" if one.outgoing else "in",
                "from": str(one.source),
                "to": str(one.target),
                "hex": one.payload.hex(),
            }
        )


def _target(node: ObservedNode, text: str) -> Endpoint:
    """Return the address that a node's name stands for, or that the text is."""
    known = dict(node.settings.nodes).get(text)
    if known is not None:
        return known
    try:
        return Endpoint(*parse_address(text, min_port=1))
    except ValueError:
        raise CommandError(f"{text} is neither a node of the lab nor IP:PORT", EXIT_USAGE) from None


def _send_garbage(node: ObservedNode, args: list[str]) -> Iterator[str]:
    usage = "observer send garbage tracker 6"
    count = _number(args[1], "count", usage) if len(args) > 1 else 1
    seed = _number(args[2], "seed", f"{usage} 1") if len(args) > 2 else 0
    target = _target(node, args[0])
    sent = probes.send_garbage(target, count, seed, node.network.packets.own_ports.add)
    yield json.dumps({"to": str(target), "datagrams": sent})


def _replay(node: ObservedNode, args: list[str]) -> Iterator[str]:
    wanted, packets = node.settings.wanted, node.network.packets
    if wanted is None or node.network.capture is None:
        raise probes.unseen("what the program sends is not captured in this node")
    on_port = packets.own_ports.add
    name, new, target = wanted.name.encode(), args[0].encode(), _target(node, args[1])
    if packets.is_tracker(target):
        if not packets.first_datagram:
            raise probes.unseen("no datagram to the tracker had the file's name in clear")
        answers = probes.replay_datagram(target, probes.with_name(packets.first_datagram, name, new), on_port)
    else:
        if not packets.first_words:
            raise probes.unseen("the program has opened no connection on which it sent the file's name in clear")
        words = [probes.with_name(part, name, new) for part in packets.first_words]
        answers = probes.replay_connection(target, words, on_port)
    for answer in answers:
        yield json.dumps(answer.row())


def _sockets(node: ObservedNode) -> Iterator[str]:
    for one in node.network.sockets():
        yield json.dumps({"protocol": one.protocol, "address": str(one.address)})
