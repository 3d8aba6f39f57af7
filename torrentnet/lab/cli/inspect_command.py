"""``torrentnet inspect``: what is found in a program's folder or archive.

Tested by tests/unit/lab/cli/test_app.py.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from torrentnet.lab.cli.output import print_json, print_table, print_text
from torrentnet.lab.scenario.language.models.programs import ROLES
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.plan.program import Addresses
from torrentnet.lab.scenario.programs.command_template import fill_command
from torrentnet.lab.scenario.programs.files import ProgramFilesError
from torrentnet.lab.scenario.programs.found import find_program
from torrentnet.lab.scenario.resolve.foreign import plan_of
from torrentnet.runtime.process import EXIT_OK

if TYPE_CHECKING:
    from torrentnet.lab.scenario.plan.program import ProgramPlan
    from torrentnet.lab.scenario.programs.found import FoundProgram

_OWN_IMAGE: Final = frozenset({"python3", "python", "sh", "bash", "perl"})
"""Programs of the lab's own image that run others."""
_EXAMPLE: Final = {
    "tracker": "127.0.0.1:6969",
    "dir": "/data",
    "file": "myfile.txt",
    "torrent": "/data/myfile.txt.torrent",
}
_NODES: Final = {"tracker": ("tracker", "6969"), "share": ("seeder", "6881"), "get": ("leecher", "6882")}
"""Role -> the name and the port of the example's node."""


def inspect(path: str, *, as_json: bool) -> int:
    """Show what is found at a path, and which command lines will be run."""
    found = _find(path)
    plan = plan_of("program", found, found.manifest)
    notes = _notes(plan)
    if as_json:
        print_json(_document(found, plan, notes))
        return EXIT_OK
    print_table(("", ""), _rows(found, plan))
    print_text("\ncommand lines, as they will be run with addresses like these:")
    for role, command in plan.commands:
        print_text(f"  {role:<7} {_example(role, command)}")
    for note in notes:
        print_text(f"\n{note}")
    return EXIT_OK


def _find(path: str) -> FoundProgram:
    """Return the program at a path; a tracker alone or a peer alone will do."""
    try:
        return find_program(path)
    except ProgramFilesError as error:
        for roles in (("tracker",), ("share", "get")):
            try:
                return find_program(path, roles=roles)
            except ProgramFilesError:
                continue
        raise error from None


def _rows(found: FoundProgram, plan: ProgramPlan) -> list[tuple[str, str]]:
    built = f"built by its `{plan.dockerfile}`" if plan.dockerfile else ""
    told = "127.0.0.1 and a port of each node's own, translated by the lab"
    rows = [
        ("program", found.shown),
        ("found by", found.reason),
        ("files", f"{_count(found)}, {plan.size} bytes, SHA-256 {plan.digest[:16]}…"),
        ("image", plan.image or built or "the lab's own, with Python"),
        ("installs", plan.install),
        ("builds", " ; ".join(plan.build.strip().split("\n"))),
        ("is given", told if plan.addresses is Addresses.MACHINE else "the nodes' own addresses"),
        ("speaks", "BitTorrent, and receives a .torrent" if plan.bittorrent else ""),
        ("keeps files in", plan.files),
        ("sockets within", format_duration(plan.ready)),
        *((f"for `{command}`", f"it says `{words}`") for command, words in plan.says),
    ]
    return [(name, value) for name, value in rows if value]


def _count(found: FoundProgram) -> str:
    number = sum(path.is_file() for path in found.folder.rglob("*")) if found.folder is not None else 0
    return f"{number} file{'' if number == 1 else 's'}"


def _example(role: str, command: str) -> str:
    return shlex.join(_words(role, command))


def _words(role: str, command: str) -> tuple[str, ...]:
    name, port = _NODES.get(role, ("node", "7000"))
    own = {"name": name, "ip": "127.0.0.1", "port": port, "listen_port": port, "listen": f"127.0.0.1:{port}"}
    return fill_command(command, {**_EXAMPLE, **own}, ("ARGS",) if role == "run" else ())


def _notes(plan: ProgramPlan) -> list[str]:
    notes = []
    runners = dict.fromkeys(shlex.split(command)[0] for _, command in plan.commands)
    if not plan.image and not plan.dockerfile:
        notes += [
            f"`{runner}` is not in the lab's own image: write `image: NAME` into a torrentnet.yaml beside the program"
            for runner in runners
            if "/" not in runner and runner not in _OWN_IMAGE
        ]
    roles = [role for role, _ in plan.commands]
    missing = [role for role in ROLES[:3] if role not in roles]
    if missing and "run" not in roles:
        notes.append(f"it has no command line for {', '.join(f'`{role}`' for role in missing)}")
    return notes


def _document(found: FoundProgram, plan: ProgramPlan, notes: list[str]) -> dict[str, object]:
    return {
        "program": found.shown,
        "found_by": found.reason,
        "files": sum(path.is_file() for path in found.folder.rglob("*")) if found.folder is not None else 0,
        "bytes": plan.size,
        "sha256": plan.digest,
        "image": plan.image or None,
        "dockerfile": plan.dockerfile or None,
        "install": plan.install or None,
        "build": plan.build or None,
        "addresses": str(plan.addresses),
        "speaks": "bittorrent" if plan.bittorrent else None,
        "keeps_files_in": plan.files or None,
        "ready_s": plan.ready,
        "says": dict(plan.says),
        "commands": dict(plan.commands),
        "examples": {role: list(_words(role, command)) for role, command in plan.commands},
        "notes": notes,
    }
