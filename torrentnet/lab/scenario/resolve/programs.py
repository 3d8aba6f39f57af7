"""Foreign programs: the options that they lack, and the .torrents that they need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.models.scenario import (
    GeneratedFileModel,
    PeerModel,
    RunNodeModel,
    ShareModel,
    TrackerModel,
)
from torrentnet.lab.scenario.language.models.timeline import ConsoleModel
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role, TorrentPlan
from torrentnet.lab.scenario.resolve.foreign import takes_torrent
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.scenario import NodeModel
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

OWN_PEER_OPTIONS: Final = ("corrupt", "timeout", "give_up", "min_rate", "strategy")
"""Options of our own peer program only."""
TRACKER: Final = "tracker"
"""The tracker's name, fixed because docker-compose.yml defines the service that every lab has."""
RATE_UNITS: Final = {
    NodeProgram.TRANSMISSION: (1000, "8kbit"),
    NodeProgram.RTORRENT: (1024, "1KiB/s"),
    NodeProgram.QBITTORRENT: (1024, "1KiB/s"),
}
"""Programs that count a rate in whole kilobytes a second: the bytes of one, and its name in a scenario."""
CLIENT_EXPIRY: Final = 600.0
"""Seconds from its last announce until a standard client expires, at least: libtorrent announces each minute."""
PROGRAM_TITLES: Final = {
    NodeProgram.ARIA2: "aria2",
    NodeProgram.TRANSMISSION: "Transmission",
    NodeProgram.LIBTORRENT: "libtorrent",
    NodeProgram.RTORRENT: "rTorrent",
    NodeProgram.QBITTORRENT: "qBittorrent",
    NodeProgram.DELUGE: "Deluge",
    NodeProgram.OPENTRACKER: "opentracker",
}

CONSOLE_COMMANDS: Final = {
    Role.TRACKER: ("request logs", "file_logs", "peers", "status", "help"),
    Role.SHARE: ("request logs", "status", "help"),
    Role.GET: ("request logs", "status", "help"),
}
"""The commands of our own programs that work from outside; a test compares them with the programs."""
FOREIGN_COMMANDS: Final = ("status", "help")


def check_program(context: ResolveContext, loc: KeyPath, model: NodeModel, program: NodeProgram) -> None:
    """Record the options that another project's program does not have."""
    if program in {NodeProgram.OURS, NodeProgram.FOREIGN} or isinstance(model, RunNodeModel):
        return
    title = PROGRAM_TITLES[program]
    if isinstance(model, TrackerModel):
        for option in ("keepalive", "timeout"):
            if option in model.tracker.model_fields_set:
                context.note_key(
                    (*loc, "tracker", option),
                    f"opentracker has no `{option}`: it asks for an announce about every half hour",
                    f"remove `{option}`, or remove `program`",
                )
        return
    for option in OWN_PEER_OPTIONS:
        if option in model.model_fields_set:
            context.note_key(
                (*loc, option),
                f"{title} has no `{option}`, which is an option of our own peers",
                f"remove `{option}`, or remove `client`",
            )
    unit, shortest = RATE_UNITS.get(program, (0, ""))
    if model.upload is not None and model.upload.bits < 8 * unit:
        context.note(
            (*loc, "upload"),
            f"{title} counts in whole kilobytes a second",
            f"write at least `{shortest}`, one kilobyte a second",
        )


def title_of(node: NodePlan) -> str:
    """Return the name of the program that a node runs, for a message."""
    return f"`{node.foreign.name}`" if node.foreign is not None else PROGRAM_TITLES[node.program]


def foreign_arguments(model: NodeModel) -> tuple[str, ...]:
    """Return the options of the command line that every client has."""
    upload = model.upload if isinstance(model, PeerModel) else None
    return ("--upload-rate", upload.text) if upload is not None else ()


def assign_torrents(context: ResolveContext) -> tuple[TorrentPlan, ...]:
    """Return the .torrents that are needed, and assign them to their nodes.

    A client needs its file's. Our tracker receives all of them, because most clients do not send it the file's name.
    With opentracker, which knows no names, our own leechers need them too.
    """
    nodes = context.nodes
    plain = any(node.role is Role.TRACKER and takes_torrent(node) for node in nodes.values())
    clients = {node.name for node in nodes.values() if node.file is not None and takes_torrent(node)}
    if not plain and not clients:
        return ()
    shared = list(dict.fromkeys(node.file for node in nodes.values() if node.role is Role.SHARE and node.file))
    wanted: dict[str, bool] = {}
    """File -> whether a client shares or gets it."""
    for node in nodes.values():
        file = _described(node, shared)
        if file is not None and (plain or node.name in clients):
            wanted[file] = wanted.get(file, False) or node.name in clients
    for name, node in list(nodes.items()):
        file = _described(node, shared)
        ours = node.program is NodeProgram.OURS
        if node.role is Role.TRACKER:
            if ours or takes_torrent(node):
                nodes[name] = replace(node, torrents=tuple(wanted))
        elif file is None or file not in wanted:
            continue
        elif takes_torrent(node) or (ours and plain and node.role is Role.GET):
            nodes[name] = replace(node, torrents=(file,))
        elif ours and node.role is Role.SHARE and wanted[file]:
            # All descriptions of the file must have the same info-hash.
            nodes[name] = replace(node, arguments=(*node.arguments, "--public"))
    _check_contents(context, wanted)
    return tuple(TorrentPlan(file, _piece_length(context, file), not public) for file, public in wanted.items())


def _check_contents(context: ResolveContext, wanted: Iterable[str]) -> None:
    """Record the nodes that need a .torrent of an empty file, which cannot be made."""
    for name, model in context.draft.scenario.files.items():
        if not isinstance(model, GeneratedFileModel) or model.size > 0:
            continue
        described = {name} if model.as_ is None else {model.as_, f"{name}/{model.as_}"}
        if not described & set(wanted):
            continue
        clients = [node for node in context.nodes.values() if node.file in described and takes_torrent(node)]
        loc: KeyPath = ("nodes", clients[0].group, "client") if clients else ("nodes", TRACKER, "tracker", "program")
        title = title_of(clients[0] if clients else context.nodes[TRACKER])
        context.note(
            loc,
            f"{title} needs a .torrent, and the empty file `{name}` cannot have one",
            f"write `size: 1B` or more, or remove `{loc[-1]}`",
        )


def _described(node: NodePlan, shared: list[str]) -> str | None:
    """Return the file that the node's .torrent describes.

    Prefer the file whose own name the node requests.
    """
    if node.file is None or node.role is Role.SHARE or node.file in shared:
        return node.file
    return next((file for file in shared if file.rpartition("/")[2] == node.file), node.file)


def _piece_length(context: ResolveContext, file: str) -> int | None:
    """Return the piece length with which the file is shared.

    Several piece lengths are recorded as a problem.
    """
    lengths: dict[int | None, str] = {}
    for node in context.nodes.values():
        model = context.draft.scenario.nodes[node.group]
        if isinstance(model, ShareModel) and node.file == file and node.group not in lengths.values():
            lengths.setdefault(model.piece_length, node.group)
    if len(lengths) > 1:
        first, second = list(lengths.values())[:2]
        context.note_key(
            ("nodes", second),
            f"`{first}` and `{second}` share a file with different piece lengths, and a client shares or gets it",
            "write the same `piece_length` for both",
        )
    return next(iter(lengths), None)


def check_tracker_query(context: ResolveContext, loc: KeyPath, what: str) -> None:
    """Record a check that needs our own tracker."""
    if any(node.program is NodeProgram.OPENTRACKER for node in context.nodes.values()):
        context.note(loc, f"opentracker does not report {what}", "check the peers, or remove `program`")


def check_timeline_programs(context: ResolveContext) -> None:
    """Check the timeline's commands, and collect the nodes that leave in order.

    A command that a node's console does not have is recorded as a problem. The nodes collected are those that leave the
    swarm in order.
    """
    for ref in context.refs:
        if ref.verb in {"stop", "restart"}:
            context.leaving.update(ref.nodes)
        elif isinstance(ref.model, ConsoleModel):
            check_console_command(context, (*ref.loc, "console"), ref.nodes, ref.model.console)


def check_expiry(context: ResolveContext, loc: KeyPath, names: tuple[str, ...]) -> None:
    """Record a client that expires too late, because no event stops it."""
    if context.limit >= CLIENT_EXPIRY:
        return
    for name in names:
        node = context.nodes[name]
        if node.program not in {NodeProgram.OURS, NodeProgram.FOREIGN} and name not in context.leaving:
            context.note(
                loc,
                f"`{name}` is {PROGRAM_TITLES[node.program]}, which expires {format_duration(CLIENT_EXPIRY)}"
                " after its last announce at the earliest",
                f"stop it, so that it leaves the swarm: `{{at: ..., stop: {name}}}`",
            )
            return


def check_console_command(context: ResolveContext, loc: KeyPath, names: tuple[str, ...], command: str) -> None:
    """Record a command that the console of a node's program does not have."""
    for name in names:
        node = context.nodes[name]
        if node.program is NodeProgram.FOREIGN:
            continue  # its commands are its own
        known = CONSOLE_COMMANDS.get(node.role, ()) if node.program is NodeProgram.OURS else FOREIGN_COMMANDS
        words = [one for one in known if command.split()[: len(one.split())] == one.split()]
        if words:
            continue
        if node.program is not NodeProgram.OURS:
            owner = f"`{name}` is {PROGRAM_TITLES[node.program]}, whose node"
        else:
            owner = "the tracker" if node.role is Role.TRACKER else f"the peer `{name}`"
        context.note(loc, f"{owner} has no command `{command}`", did_you_mean(command, known, "it has"))
        return
