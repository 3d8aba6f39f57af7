"""Programs of nodes, and the .torrents that they receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.lab.scenario.scenario_files import load
from torrentnet.console.commands import Commands
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role, TorrentPlan
from torrentnet.lab.scenario.resolve.programs import CONSOLE_COMMANDS
from torrentnet.peer.commands import add_commands as add_peer_commands
from torrentnet.tracker.commands import add_commands as add_tracker_commands

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.plan import Plan

TEXT = """\
about: A trial.
time_limit: 30s
files: {{a.txt: {{size: 1MiB}}, b.txt: {{size: 1MiB}}, fake: {{size: 1MiB, as: a.txt}}}}
nodes:
  tracker: {{tracker: {tracker}}}
{nodes}
expect:
  - {{node: tracker, state: running, at: 1s}}
"""
A, B, FAKE = "a.txt", "b.txt", "fake/a.txt"


def plan(tmp_path: Path, *nodes: str, tracker: str = "{}") -> Plan:
    return load(tmp_path, TEXT.format(nodes="\n".join(f"  {node}" for node in nodes), tracker=tracker))


def given(loaded: Plan) -> dict[str, tuple[str, ...]]:
    return {node.name: node.torrents for node in loaded.nodes if node.torrents}


def public(loaded: Plan) -> list[str]:
    return [node.name for node in loaded.nodes if "--public" in node.arguments]


def test_there_are_no_torrents_without_clients(tmp_path: Path) -> None:
    loaded = plan(tmp_path, "s: {share: a.txt, client: torrentnet}", "l: {get: a.txt}")
    assert (loaded.torrents, given(loaded), loaded.foreign_programs, public(loaded)) == ((), {}, (), [])


def test_a_client_and_the_tracker_receive_the_torrent(tmp_path: Path) -> None:
    loaded = plan(
        tmp_path,
        "s: {share: a.txt, piece_length: 64KiB}",
        "t: {share: b.txt}",
        "l: {get: a.txt, client: aria2, count: 2}",
        "m: {get: a.txt}",
    )
    assert loaded.torrents == (TorrentPlan(A, 64 * 1024, private=False),)
    assert given(loaded) == {"tracker": (A,), "l-1": (A,), "l-2": (A,)}
    # Whoever shares that file describes it in the same way; another file is as ever.
    assert public(loaded) == ["s"]
    assert loaded.foreign_programs == (NodeProgram.ARIA2,)


def test_a_client_receives_only_common_options(tmp_path: Path) -> None:
    loaded = plan(tmp_path, "s: {share: a.txt, client: libtorrent, upload: 8mbit, piece_length: 64KiB}")
    (node,) = [node for node in loaded.nodes if node.name == "s"]
    assert node.arguments == ("--upload-rate", "8mbit")
    assert loaded.torrents[0].piece_length == 64 * 1024


def test_a_leecher_receives_the_torrent_of_the_files_name(tmp_path: Path) -> None:
    loaded = plan(tmp_path, "f: {share: fake}", "s: {share: a.txt}", "l: {get: a.txt, client: transmission}")
    assert given(loaded)["l"] == (A,)
    loaded = plan(tmp_path, "f: {share: fake, client: aria2}", "l: {get: a.txt, client: transmission}")
    assert given(loaded) == {"tracker": (FAKE,), "f": (FAKE,), "l": (FAKE,)}


def test_with_opentracker_our_leechers_receive_the_torrent_too(tmp_path: Path) -> None:
    loaded = plan(tmp_path, "s: {share: a.txt}", "l: {get: a.txt}", tracker="{program: opentracker}")
    assert given(loaded) == {"tracker": (A,), "l": (A,)}
    assert loaded.torrents == (TorrentPlan(A, None, private=True),)
    assert public(loaded) == []
    (tracker,) = [node for node in loaded.nodes if node.name == "tracker"]
    assert (tracker.program, tracker.arguments) == (NodeProgram.OPENTRACKER, ())


def test_a_parameter_may_select_the_program(tmp_path: Path) -> None:
    text = TEXT.format(nodes="  s: {share: a.txt, client: $client}", tracker="{}")
    loaded = load(tmp_path, "parameters: {client: aria2}\n" + text)
    assert loaded.foreign_programs == (NodeProgram.ARIA2,)


@pytest.mark.parametrize("role", [Role.TRACKER, Role.GET, Role.SHARE])
def test_the_commands_of_consoles_are_the_programs_own(role: Role) -> None:
    commands, nothing = Commands("program"), cast("Any", None)
    if role is Role.TRACKER:
        add_tracker_commands(commands, nothing)
    else:
        add_peer_commands(commands, nothing, nothing)
    assert {one.partition(" ")[0] for one in CONSOLE_COMMANDS[role]} == set(commands.complete(""))
