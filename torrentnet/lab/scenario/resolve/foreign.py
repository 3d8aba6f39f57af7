"""Programs of the scenario or the command line, and the nodes that run them.

Tested by tests/unit/lab/scenario/resolve/test_foreign.py.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import ScenarioError, UsageError
from torrentnet.lab.scenario.language.models.programs import BITTORRENT, ROLES, ManifestModel
from torrentnet.lab.scenario.language.models.scenario import (
    PEER_PROGRAMS,
    TRACKER_PROGRAMS,
    GetModel,
    PeerModel,
    RunNodeModel,
    ShareModel,
    TrackerModel,
)
from torrentnet.lab.scenario.language.scalars import InvalidValueError, format_rate, parse_node_name
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.lab.scenario.plan.program import READY_TIMEOUT, Addresses, ProgramPlan
from torrentnet.lab.scenario.programs.command_template import placeholders_of
from torrentnet.lab.scenario.programs.found import find_program
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.programs import ProgramModel
    from torrentnet.lab.scenario.language.models.scenario import NodeModel
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.lab.scenario.programs.found import FoundProgram
    from torrentnet.lab.scenario.programs.given import GivenPrograms
    from torrentnet.lab.scenario.resolve.context import ResolveContext

MAX_PROGRAMS: Final = 20
_OWN_OPTIONS: Final = {
    "piece_length": "a program of your own cuts files as it likes",
    "corrupt": "it is an option of our own peers",
    "timeout": "it is an option of our own peers",
    "give_up": "it is an option of our own peers",
    "min_rate": "it is an option of our own peers",
    "strategy": "it is an option of our own peers",
}
"""Options of a node that its program never receives, with the reason."""


def resolve_programs(context: ResolveContext, folder: Path, given: GivenPrograms) -> None:
    """Set the context's programs; paths in the scenario are relative to ``folder``.

    Raises UsageError where the command line is wrong.
    """
    models = context.draft.scenario.programs
    context.unreadable_programs.update(context.draft.unread("programs"))
    if ("programs",) in context.draft.aside:
        context.unreadable_programs.add("")
    if len(models) > MAX_PROGRAMS:
        context.note_key(("programs",), f"there are {len(models)} programs; at most {MAX_PROGRAMS} are allowed")
        return
    for name, model in models.items():
        program = _scenario_program(context, folder, name, model, given.named.get(name, ""))
        if program is None:
            context.unreadable_programs.add(name)
        else:
            context.programs[name] = program
    for name, path in given.named.items():
        if name in {*PEER_PROGRAMS, *TRACKER_PROGRAMS}:
            raise UsageError(f"`{name}` is a program that the lab knows", hint="choose another name for yours")
        if name not in context.unreadable_programs and name not in models:
            context.programs[name] = plan_of(name, find_program(path, f"--program {name}="), None)
    for part, path in (("tracker", given.tracker), ("peers", given.peers)):
        if path:
            roles = ("tracker",) if part == "tracker" else ("share", "get")
            context.replaced[part] = _add_replacement(context, find_program(path, f"--{part}", roles=roles))


def _add_replacement(context: ResolveContext, found: FoundProgram) -> str:
    """Add a program of the command line without a name, and return its new name."""
    for name in context.replaced.values():
        if context.programs[name].folder == found.folder:
            # One submission: its tracker was found first, and its peers may have been found only now.
            context.programs[name] = plan_of(name, found, None)
            return name
    stem = re.sub(r"[^a-z0-9]+", "-", Path(found.shown).absolute().name.partition(".")[0].lower()).strip("-")
    if not re.match("[a-z]", stem) or stem in {*PEER_PROGRAMS, *TRACKER_PROGRAMS, "all", "rest"}:
        stem = f"program-{stem}"
    stem = stem[:36].rstrip("-")
    name, number = stem, 2
    while name in context.programs or name in context.unreadable_programs:
        name, number = f"{stem}-{number}", number + 1
    context.programs[name] = plan_of(name, found, None)
    return name


def _scenario_program(
    context: ResolveContext, folder: Path, name: str, model: ProgramModel, given: str
) -> ProgramPlan | None:
    """Return a program of the scenario; None where a problem of it was recorded."""
    loc: KeyPath = ("programs", name)
    try:
        parse_node_name(name)
    except InvalidValueError as error:
        context.note_key(loc, error.text.replace("a node", "a program"), error.hint.replace("seeder", "mine"))
        return None
    if name in {*PEER_PROGRAMS, *TRACKER_PROGRAMS}:
        context.note_key(loc, f"`{name}` is a program that the lab knows", "choose another name")
        return None
    commands = any(getattr(model, role) for role in ROLES)
    if model.path is None and model.image is None and not commands and not given:
        context.note_key(
            loc,
            "nothing says where the program is",
            f"add `path:` or `image:`, or name it on the command line: `--program {name}=PATH`",
        )
        return None
    found: FoundProgram | None = None
    if given:
        found = find_program(given, f"--program {name}=", commanded=commands)
    elif model.path is not None:
        found = _find_in_scenario(context, (*loc, "path"), folder, model.path, commanded=commands)
        if found is None:
            return None
    program = plan_of(name, found, model)
    if not program.commands:
        context.note_key(loc, f"`{name}` has no command line", f"add one of {', '.join(f'`{role}`' for role in ROLES)}")
        return None
    return program if _check_parts(context, loc, model, program) else None


def _find_in_scenario(
    context: ResolveContext, loc: KeyPath, folder: Path, text: str, *, commanded: bool
) -> FoundProgram | None:
    if Path(text).is_absolute():
        context.note(
            loc,
            f"`{text}` is an absolute path",
            "write it relative to the scenario file, so that it works elsewhere too",
        )
        return None
    try:
        path = os.path.normpath((folder / text).absolute())
        return find_program(path, shown_as=text, commanded=commanded)
    except ScenarioError as error:
        context.problems.extend(error.problems)
    except UsageError as error:
        context.note(loc, error.message, error.hint)
    return None


def _check_parts(context: ResolveContext, loc: KeyPath, model: ProgramModel, program: ProgramPlan) -> bool:
    before = len(context.problems)
    if program.folder is None:
        for key in ("build", "install"):
            if getattr(program, key) and getattr(model, key) is not None:
                context.note_key((*loc, key), f"`{key}` needs the program's files", "add `path:`")
    elif program.install and not (program.folder / program.install).is_file():
        place = (*loc, "install") if model.install is not None else (*loc, "path")
        context.note(place, f"there is no file `{program.install}` in the program's folder")
    for role, command in program.commands:
        if "torrent" in placeholders_of(command) and not program.bittorrent and getattr(model, role) is not None:
            text = f"`{{torrent}}` is only for programs that speak BitTorrent, and `{program.name}` says nothing of it"
            context.note((*loc, role), text, "add `speaks: bittorrent`, or remove the placeholder")
    return len(context.problems) == before


def plan_of(name: str, found: FoundProgram | None, model: ManifestModel | None) -> ProgramPlan:
    """Return the plan of a program.

    What the scenario says goes before what was found beside the program.
    """
    parts = [part for part in (model, found.manifest if found else None) if part is not None]

    def key(name: str) -> object:
        return next((getattr(part, name) for part in parts if getattr(part, name) is not None), None)

    image = str((found.image if found else "") or key("image") or "")
    dockerfile = found.dockerfile if found is not None and not image else ""
    folder = found.folder if found else None
    usual = Addresses.MACHINE if folder is not None else Addresses.REAL
    ready = key("ready")
    return ProgramPlan(
        name=name,
        folder=folder,
        digest=found.digest if found else "",
        image=image,
        commands=tuple((role, str(key(role))) for role in ROLES if key(role)),
        files=str(key("files") or ""),
        says=tuple(dict((*(p for part in reversed(parts) for p in part.says or ()),)).items()),
        ready=ready if isinstance(ready, float) else READY_TIMEOUT,
        addresses=Addresses(str(key("addresses") or usual)),
        bittorrent=key("speaks") == BITTORRENT,
        build=str(key("build") or ""),
        install=str(key("install") or ""),
        dockerfile=dockerfile,
        size=found.size if found else 0,
    )


# -- nodes -----------------------------------------------------------------------------------------


def program_of(context: ResolveContext, loc: KeyPath, model: NodeModel) -> tuple[NodeProgram, ProgramPlan | None]:
    """Return the program that a group's nodes run.

    An unknown name is recorded as a problem, and taken for our own program.
    """
    known: tuple[str, ...] = ()
    match model:
        case TrackerModel():
            key, named, known = (*loc, "tracker", "program"), model.tracker.program, TRACKER_PROGRAMS
        case RunNodeModel():
            key, named = (*loc, "program"), model.program
        case _:
            key, named, known = (*loc, "client"), model.client, PEER_PROGRAMS
    if named is None or named == NodeProgram.OURS:
        part = "tracker" if isinstance(model, TrackerModel) else "peers"
        replacement = context.replaced.get(part, "") if not isinstance(model, RunNodeModel) else ""
        if not replacement:
            return NodeProgram.OURS, None
        named = replacement
    if named in context.programs:
        return NodeProgram.FOREIGN, context.programs[named]
    if named in known:
        return NodeProgram(named), None
    if named not in context.unreadable_programs and "" not in context.unreadable_programs:
        names = [*known, *context.programs]
        hint = did_you_mean(named, names, "it can be") if names else f"add `programs: {{{named}: {{path: ...}}}}`"
        if named in {*PEER_PROGRAMS, *TRACKER_PROGRAMS}:
            context.note(key, f"`{named}` is not allowed here", hint)
        else:
            hint = f"{hint}, or a name under `programs`" if known and hint.startswith("it can") else hint
            context.note(key, f"there is no program `{named}`", hint)
    return NodeProgram.FOREIGN if isinstance(model, RunNodeModel) else NodeProgram.OURS, None


def role_of(model: NodeModel) -> Role:
    """Return the role of a group's nodes."""
    match model:
        case TrackerModel():
            return Role.TRACKER
        case ShareModel():
            return Role.SHARE
        case GetModel():
            return Role.GET
        case _:
            return Role.RUN


def check_foreign(context: ResolveContext, loc: KeyPath, model: NodeModel, program: ProgramPlan) -> None:
    """Record what a node that runs a program of the scenario cannot have."""
    role = role_of(model)
    replaced = program.name in context.replaced.values()
    if not program.command(role):
        has = ", ".join(f"`{known}`" for known, _ in program.commands)
        text = f"`{program.name}` has no command line for `{role}`"
        if replaced:
            option = "--tracker" if role is Role.TRACKER else "--peers"
            raise UsageError(f"{option}: {text}; it has {has}", hint=_COMMAND_HINT.format(role=role))
        context.note_key(loc, text, f"it has {has}; add `{role}:` under `programs: {program.name}`")
    if replaced and isinstance(model, ShareModel) and model.corrupt:
        raise UsageError(
            f"--peers: `{loc[-1]}` of the scenario is to corrupt what it sends, which only our own peer does",
            hint="choose another scenario, or write one with `client:` for the nodes that are to run your program",
        )
    if replaced:
        return  # what our own programs are told does not concern it
    if isinstance(model, TrackerModel):
        for option in ("keepalive", "timeout"):
            if option in model.tracker.model_fields_set:
                context.note_key(
                    (*loc, "tracker", option),
                    f"`{program.name}` has its own times, and no `{option}`",
                    f"remove `{option}`; its command line may have an option for it",
                )
        return
    for option, reason in _OWN_OPTIONS.items():
        if option in model.model_fields_set:
            context.note_key(
                (*loc, option),
                f"`{program.name}` receives no `{option}`: {reason}",
                f"remove `{option}`; its command line may have an option for it",
            )


_COMMAND_HINT: Final = "name it in a torrentnet.yaml beside it: `{role}: COMMAND LINE`"


def check_tracker(context: ResolveContext, tracker: str) -> None:
    """Record a lab without a tracker, where a program needs one."""
    if not context.nodes and not context.draft.unread("nodes"):
        context.note_key(("nodes",), "there are no nodes", f"add `{tracker}: {{tracker: {{}}}}` and some peers")
    if any(node.role is Role.TRACKER for node in context.nodes.values()):
        return
    for node in context.nodes.values():
        program = node.foreign
        if node.program is NodeProgram.FOREIGN:
            if program is None or not (program.bittorrent or "tracker" in placeholders_of(program.command(node.role))):
                continue
            why = f"there is no tracker, and `{program.name}` needs its address"
        else:
            why = "there is no tracker"
        context.note_key(("nodes",), why, f"add `{tracker}: {{tracker: {{}}}}`")
        return


def is_replaced(context: ResolveContext, name: str) -> bool:
    """Return whether the user has put another program in the place of our own."""
    foreign = context.nodes[name].foreign
    return foreign is not None and foreign.name in context.replaced.values()


def uplinks(context: ResolveContext) -> tuple[LinkOverride, ...]:
    """Return the links that keep each ``upload`` of nodes with a program of their own.

    Such a program receives no option for it.
    """
    rates: dict[float, list[str]] = {}
    for node in context.nodes.values():
        model = context.draft.scenario.nodes[node.group]
        if node.program is NodeProgram.FOREIGN and isinstance(model, PeerModel) and model.upload is not None:
            rates.setdefault(float(model.upload.bits), []).append(node.name)
    everybody = context.directory.nodes
    return tuple(
        LinkOverride(
            frozenset((name, other) for name in names for other in everybody if name != other),
            LinkQualities(uplink=bits),
            f"from {', '.join(dict.fromkeys(context.nodes[name].group for name in names))}, uplink {format_rate(bits)}",
        )
        for bits, names in rates.items()
    )


def check_programs_used(context: ResolveContext, given: GivenPrograms) -> None:
    """Record the programs that no node runs.

    Raises UsageError for those of the command line.
    """
    if any(aside[0] in {"nodes", "programs"} for aside in context.draft.aside):
        return
    used = {node.foreign.name for node in context.nodes.values() if node.foreign is not None}
    for name in given.named:
        if name in context.programs and name not in used:
            hint = f"write `client: {name}`, `tracker: {{program: {name}}}` or `program: {name}` in the scenario"
            raise UsageError(f"--program {name}: no node runs the program `{name}`", hint=hint)
    for part, name in context.replaced.items():
        if not any(_runs_in_place(node, part, name) for node in context.nodes.values()):
            raise UsageError(f"--{part}: the scenario has no node that it could replace", hint=_REPLACEABLE[part])
    for name in context.draft.scenario.programs:
        if name in context.programs and name not in used:
            context.note_key(
                ("programs", name),
                f"no node runs the program `{name}`",
                f"write `client: {name}`, `tracker: {{program: {name}}}` or `program: {name}` under `nodes`",
            )


_REPLACEABLE: Final = {
    "tracker": "it takes the place of our own tracker, `tracker: {tracker: {}}`",
    "peers": "it takes the place of our own peers, which have no `client`",
}


def _runs_in_place(node: NodePlan, part: str, name: str) -> bool:
    own = node.role is Role.TRACKER if part == "tracker" else node.role in {Role.SHARE, Role.GET}
    return own and node.foreign is not None and node.foreign.name == name


def takes_torrent(node: NodePlan) -> bool:
    """Return whether a node's program is another project's, and needs a .torrent."""
    if node.program is NodeProgram.FOREIGN:
        return node.foreign is not None and node.foreign.bittorrent
    return node.program is not NodeProgram.OURS
