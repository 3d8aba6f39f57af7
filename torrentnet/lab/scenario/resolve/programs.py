"""Whose programs nodes run: what other people's cannot do is refused, the .torrents that they need are planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.models.nodes import ShareModel, TrackerModel
from torrentnet.lab.scenario.language.models.timeline import ConsoleModel
from torrentnet.lab.scenario.language.units import show_duration
from torrentnet.lab.scenario.plan import NodeProgram, Role, TorrentPlan

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.nodes import NodeModel
    from torrentnet.lab.scenario.plan import NodePlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

OWN_PEER_OPTIONS = ("corrupt", "timeout", "give_up", "min_rate", "strategy")
"""Options of peers that no other client has."""
KILOBYTE = 1000
"""Transmission counts rates in these (bytes a second)."""
CLIENT_EXPIRY = 600.0
"""A standard client is forgotten this long after its last word, at the earliest: libtorrent speaks once a minute."""
PROGRAM_TITLES = {
    NodeProgram.ARIA2: "aria2",
    NodeProgram.TRANSMISSION: "Transmission",
    NodeProgram.LIBTORRENT: "libtorrent",
    NodeProgram.OPENTRACKER: "opentracker",
}


def program_of(model: NodeModel) -> NodeProgram:
    """Whose program a group's nodes run."""
    named = model.tracker.program if isinstance(model, TrackerModel) else model.client
    return NodeProgram(named) if named is not None else NodeProgram.OURS


def check_program(context: ResolveContext, loc: KeyPath, model: NodeModel) -> None:
    """Record what the program cannot do."""
    program = program_of(model)
    if program is NodeProgram.OURS:
        return
    title = PROGRAM_TITLES[program]
    if isinstance(model, TrackerModel):
        for option in ("keepalive", "timeout"):
            if option in model.tracker.model_fields_set:
                context.note(
                    (*loc, "tracker", option),
                    f"opentracker has no `{option}`: it asks for an announce about every half an hour",
                    "take it out, or take `program` out",
                    at_value=False,
                )
        return
    for option in OWN_PEER_OPTIONS:
        if option in model.model_fields_set:
            context.note(
                (*loc, option),
                f"{title} has no `{option}`: that is an option of our own peers",
                "take it out, or take `client` out",
                at_value=False,
            )
    if program is NodeProgram.TRANSMISSION and model.upload is not None and model.upload.bits < 8 * KILOBYTE:
        context.note(
            (*loc, "upload"),
            "Transmission counts in whole kilobytes a second",
            "at least `8kbit`, which is one of them",
        )


def foreign_arguments(model: NodeModel) -> tuple[str, ...]:
    """The options that other people's clients have too."""
    upload = None if isinstance(model, TrackerModel) else model.upload
    return ("--upload-rate", upload.text) if upload is not None else ()


def assign_torrents(context: ResolveContext) -> tuple[TorrentPlan, ...]:
    """Plan the .torrents that are needed, and give them to the nodes that need them.

    A client needs its file's. Our tracker is told of them all, for most clients do not tell it what a file is called.
    Where the tracker is opentracker, which knows no names, our own leechers need them too.
    """
    nodes = context.nodes
    plain = any(node.program is NodeProgram.OPENTRACKER for node in nodes.values())
    clients = {node.name for node in nodes.values() if node.file is not None and node.program is not NodeProgram.OURS}
    if not plain and not clients:
        return ()
    shared = list(dict.fromkeys(node.file for node in nodes.values() if node.role is Role.SHARE and node.file))
    wanted: dict[str, bool] = {}
    """File as it is made -> whether a client has to do with it."""
    for node in nodes.values():
        file = _described(node, shared)
        if file is not None and (plain or node.name in clients):
            wanted[file] = wanted.get(file, False) or node.name in clients
    for name, node in list(nodes.items()):
        file = _described(node, shared)
        if node.role is Role.TRACKER:
            nodes[name] = replace(node, torrents=tuple(wanted))
        elif file is None or file not in wanted:
            continue
        elif node.program is not NodeProgram.OURS or (plain and node.role is Role.GET):
            nodes[name] = replace(node, torrents=(file,))
        elif node.role is Role.SHARE and wanted[file]:
            # So that all describe the file in the same way.
            nodes[name] = replace(node, arguments=(*node.arguments, "--public"))
    return tuple(TorrentPlan(file, _piece_length(context, file), not public) for file, public in wanted.items())


def _described(node: NodePlan, shared: list[str]) -> str | None:
    """Which of the files that are made the node means; of several that go out under one name, the one called so."""
    if node.file is None or node.role is Role.SHARE or node.file in shared:
        return node.file
    return next((file for file in shared if file.rpartition("/")[2] == node.file), node.file)


def _piece_length(context: ResolveContext, file: str) -> int | None:
    """The one piece length with which the file is shared; others are recorded as a problem."""
    lengths: dict[int | None, str] = {}
    for node in context.nodes.values():
        model = context.draft.scenario.nodes[node.group]
        if isinstance(model, ShareModel) and node.file == file and node.group not in lengths.values():
            lengths.setdefault(model.piece_length, node.group)
    if len(lengths) > 1:
        first, second = list(lengths.values())[:2]
        context.note(
            ("nodes", second),
            f"`{first}` and `{second}` share one file with different piece lengths, and a client takes part",
            "write the same `piece_length` in both",
            at_value=False,
        )
    return next(iter(lengths), None)


def check_tracker_query(context: ResolveContext, loc: KeyPath, what: str) -> None:
    """Record that the tracker cannot be asked that, where it is not ours."""
    if any(node.program is NodeProgram.OPENTRACKER for node in context.nodes.values()):
        context.note(loc, f"opentracker does not tell {what}", "ask the peers, or take `program` out")


def check_timeline_programs(context: ResolveContext) -> None:
    """Record commands that a node's console does not have, and note which nodes leave the swarm in order."""
    for ref in context.refs:
        if ref.verb in {"stop", "restart"}:
            context.leaving.update(ref.nodes)
        elif isinstance(ref.model, ConsoleModel):
            check_console_command(context, (*ref.loc, "console"), ref.nodes, ref.model.console)


def check_expiry(context: ResolveContext, loc: KeyPath, names: tuple[str, ...]) -> None:
    """Record that clients which say no good-bye are not forgotten in time."""
    if context.limit >= CLIENT_EXPIRY:
        return
    for name in names:
        node = context.nodes[name]
        if node.program is not NodeProgram.OURS and name not in context.leaving:
            context.note(
                loc,
                f"`{name}` is {PROGRAM_TITLES[node.program]}, which is forgotten {show_duration(CLIENT_EXPIRY)}"
                " after its last word at the earliest",
                f"let it say good-bye: `{{at: ..., stop: {name}}}`",
            )
            return


def check_console_command(context: ResolveContext, loc: KeyPath, names: tuple[str, ...], command: str) -> None:
    """Record a command that the console of other people's programs does not have."""
    words = command.split()
    if not words or words[0] in {"status", "help", "quit"}:
        return
    for name in names:
        program = context.nodes[name].program
        if program is not NodeProgram.OURS:
            context.note(
                loc,
                f"`{name}` is {PROGRAM_TITLES[program]}, whose node has no command `{command}`",
                "it has `status`, `help` and `quit`",
            )
            return
