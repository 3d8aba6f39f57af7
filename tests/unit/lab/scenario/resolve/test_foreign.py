"""Programs of a scenario, and the nodes that run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from torrentnet.lab.errors import LabError, ScenarioError
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.events import IsolatePlan, KillPlan
from torrentnet.lab.scenario.plan.expectations import Interval, PairsCheckPlan
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.lab.scenario.plan.program import Addresses
from torrentnet.lab.scenario.programs.given import GivenPrograms

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan

PROGRAMS = "programs: {mine: {path: mine}}\n"
SWARM = """\
files: {a.txt: {size: 1MiB}}
nodes:
  tracker: {tracker: {program: mine}}
  seeder: {share: a.txt, client: mine, count: 3}
  leecher: {get: a.txt, client: mine}
"""
EXPECT = "expect: [{node: leecher, has: a.txt}]\n"
OURS = """\
files: {a.txt: {size: 1MiB}}
nodes:
  tracker: {tracker: {keepalive: 500ms, timeout: 2s}}
  seeder: {share: a.txt, piece_length: 64KiB, upload: 8mbit}
  leecher: {get: a.txt, timeout: 3s, strategy: swarm}
  real: {get: a.txt, client: aria2}
expect: [{node: leecher, has: a.txt}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mine/tracker.py", "mine/peer.py", "echo/echo.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("print()")
    return tmp_path


def load(folder: Path, text: str, given: GivenPrograms | None = None) -> Plan:
    path = folder / "experiment.yaml"
    path.write_text(text, encoding="utf-8")
    return load_plan(path, "experiment.yaml", programs=given)


def by_name(plan: Plan) -> dict[str, NodePlan]:
    return {node.name: node for node in plan.nodes}


def test_a_submission_runs_as_the_tracker_and_the_peers(folder: Path) -> None:
    plan = load(folder, PROGRAMS + SWARM + EXPECT)
    (program,) = plan.programs
    assert program.name == "mine"
    assert program.command("tracker") == "python3 tracker.py {ip}:{port}"
    assert program.addresses is Addresses.MACHINE
    assert program.folder is not None
    assert sorted(path.name for path in program.folder.iterdir()) == ["peer.py", "tracker.py"]
    assert {node.program for node in plan.nodes} == {NodeProgram.FOREIGN}
    assert {node.foreign for node in plan.nodes} == {program}
    assert plan.foreign_programs == ()
    assert plan.torrents == ()
    assert by_name(plan)["leecher"].limits.disk == 64 * 2**20 + 2 * (2**20 + 14)


def test_the_scenario_goes_before_the_programs_own_file(folder: Path) -> None:
    (folder / "mine" / "torrentnet.yaml").write_text("get: own {file}\nready: 3s\nsays: {peers: list, status: state}\n")
    text = "programs: {mine: {path: mine, get: better, addresses: real, says: {peers: all}}}\n"
    nodes = "files: {a.txt: {size: 1B}}\nnodes: {leecher: {get: a.txt, client: mine}}\n"
    (program,) = load(folder, text + nodes).programs
    assert program.command("get") == "better"
    assert (program.ready, program.addresses) == (3.0, Addresses.REAL)
    assert dict(program.says) == {"peers": "all", "status": "state"}


def test_a_lab_may_lack_a_tracker(folder: Path) -> None:
    text = """\
programs: {echo: {path: echo, run: "python3 echo.py {port} {args}"}}
nodes:
  server: {program: echo}
  client: {program: echo, args: "--to 'server 1' 9000", count: 2, start: 1s}
expect: [{node: client, exit: 0}]
"""
    plan = load(folder, text)
    assert [node.role for node in plan.nodes] == [Role.RUN] * 3
    assert by_name(plan)["client-2"].arguments == ("--to", "server 1", "9000")
    assert by_name(plan)["client-2"].file is None


def test_a_client_that_speaks_bittorrent_receives_a_torrent(folder: Path) -> None:
    text = """\
programs: {rc3: {image: "example/client:2.0", speaks: bittorrent, get: "client {torrent} {dir}"}}
files: {a.txt: {size: 1MiB}}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.txt}
  leecher: {get: a.txt, client: rc3}
expect: [{node: leecher, has: a.txt}]
"""
    plan = load(folder, text)
    assert by_name(plan)["leecher"].torrents == ("a.txt",)
    assert by_name(plan)["tracker"].torrents == ("a.txt",)
    assert by_name(plan)["seeder"].arguments[-1] == "--public"
    (program,) = plan.programs
    assert (program.image, program.folder, program.addresses) == ("example/client:2.0", None, Addresses.REAL)


def test_the_network_keeps_the_upload_rate(folder: Path) -> None:
    plan = load(folder, PROGRAMS + SWARM.replace("count: 3", "count: 2, upload: 8mbit") + EXPECT)
    (link,) = plan.links
    assert link.qualities.uplink == 8_000_000
    assert {source for source, _ in link.pairs} == {"seeder-1", "seeder-2"}
    assert len(link.pairs) == 2 * 3
    assert link.text == "from seeder, uplink 8mbit"


# -- the command line ------------------------------------------------------------------------------


def test_the_command_line_puts_a_program_in_the_place_of_ours(folder: Path) -> None:
    mine = str(folder / "mine")
    plan = load(folder, OURS, GivenPrograms(tracker=mine, peers=mine))
    (program,) = plan.programs
    assert program.name == "mine"
    found = by_name(plan)
    assert [name for name, node in found.items() if node.foreign is program] == ["tracker", "seeder", "leecher"]
    assert found["real"].program is NodeProgram.ARIA2
    assert [link.qualities.uplink for link in plan.links] == [8_000_000]


def test_words_of_our_own_programs_are_not_expected_of_others(folder: Path) -> None:
    expect = """\
expect:
  - {node: leecher, has: a.txt}
  - {node: leecher, log: {event: bad_piece}, times: 0, at: 3s}
  - {node: [leecher, seeder], console: request logs, contains: piece}
  - {node: leecher, console: observer status, empty: false}
  - {node: tracker, console: request logs, contains: leecher}
"""
    plan = load(folder, OURS[: OURS.index("expect")] + expect, GivenPrograms(peers=str(folder / "mine")))
    assert [(check.index, check.where) for check in plan.expectations] == [
        (0, "experiment.yaml:8:5"),
        (1, "experiment.yaml:11:5"),
        (2, "experiment.yaml:12:5"),
    ]
    assert plan.left_out == (
        "leecher has no `bad_piece` in the log at 3s (experiment.yaml:9:5)",
        "seeder, leecher answer `request logs` with output that contains piece before the end (experiment.yaml:10:5)",
    )
    assert plan.judged
    nothing = "expect: [{node: leecher, log: completed}]\n"
    plan = load(folder, OURS[: OURS.index("expect")] + nothing, GivenPrograms(peers=str(folder / "mine")))
    assert (plan.expectations, plan.judged) == ((), False)


def test_only_the_peers_may_be_replaced(folder: Path) -> None:
    plan = load(folder, OURS, GivenPrograms(peers=str(folder / "mine")))
    assert by_name(plan)["tracker"].program is NodeProgram.OURS
    assert by_name(plan)["leecher"].program is NodeProgram.FOREIGN


def test_two_programs_of_one_name_get_two_names(folder: Path) -> None:
    (folder / "other" / "mine").mkdir(parents=True)
    (folder / "other" / "mine" / "tracker.py").write_text("other")
    plan = load(folder, OURS, GivenPrograms(tracker=str(folder / "other" / "mine"), peers=str(folder / "mine")))
    assert [program.name for program in plan.programs] == ["mine", "mine-2"]


@pytest.mark.parametrize(
    ("name", "becomes"), [("42 Über", "program-42-ber"), ("aria2", "program-aria2"), ("é", "program")]
)
def test_a_name_is_made_of_the_path(name: str, becomes: str, folder: Path) -> None:
    (folder / "mine").rename(folder / name)
    plan = load(folder, OURS, GivenPrograms(peers=str(folder / name)))
    assert [program.name for program in plan.programs] == [becomes]


def test_the_command_line_names_a_program_of_the_scenario(folder: Path) -> None:
    text = "programs: {mine: {get: 'python3 peer.py {file}'}}\nfiles: {a.txt: {size: 1B}}\n"
    text += "nodes: {leecher: {get: a.txt, client: mine}}\n"
    (program,) = load(folder, text, GivenPrograms({"mine": str(folder / "echo")})).programs
    assert program.command("get") == "python3 peer.py {file}"
    assert program.size == 7
    (program,) = load(folder, text, GivenPrograms({"mine": "image:example/x"})).programs
    assert (program.image, program.folder) == ("example/x", None)


def test_the_command_line_adds_a_program(folder: Path) -> None:
    (program,) = load(folder, SWARM + EXPECT, GivenPrograms({"mine": str(folder / "mine")})).programs
    assert program.command("share") == "python3 peer.py share {file} {tracker} {listen}"


def test_errors_of_the_command_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "half").mkdir()
    (folder / "half" / "torrentnet.yaml").write_text("tracker: ./tracker\n")
    cases = {
        "no such path": GivenPrograms({"mine": "nothing"}),
        "no node runs it": GivenPrograms({"other": "mine", "mine": "mine"}),
        "a name of the lab's": GivenPrograms({"aria2": "mine"}),
        "no command line for it": GivenPrograms({"mine": "mine"}, peers="half"),
        "nothing to replace": GivenPrograms({"mine": "mine"}, tracker="mine"),
        "an image without command lines": GivenPrograms({"mine": "image:example/x"}),
        "only our own peer can": GivenPrograms({"mine": "mine"}, peers="mine"),
    }
    lines = []
    for name, given in cases.items():
        text = SWARM + "  ours: {get: a.txt}\n" if "replace" not in name else SWARM
        text += "  liar: {share: a.txt, corrupt: true}\n" if "only our own" in name else ""
        with pytest.raises(LabError) as caught:
            load(folder, text + EXPECT, given)
        assert caught.value.exit_code == 2
        lines += [f"# {name}", caught.value.message, f"    {caught.value.hint}", ""]
    golden.check("programs_of_the_command_line.txt", "\n".join(lines))


def test_a_problem_of_the_programs_own_file_has_its_line(folder: Path) -> None:
    (folder / "mine" / "torrentnet.yaml").write_text("# comment\ntracker: python3 {prot}\n")
    with pytest.raises(ScenarioError) as caught:
        load(folder, PROGRAMS + SWARM.replace("a.txt, client", "b.txt, client") + EXPECT)
    message = caught.value.message
    assert "mine/torrentnet.yaml:2:10: tracker: unknown placeholder `{prot}`\n   2 | tracker: python3 {prot}" in message
    assert "experiment.yaml:5:19: nodes.seeder.share: there is no file `b.txt` under `files`" in message


# -- sources and pairs -----------------------------------------------------------------------------


def test_an_event_affects_the_source_that_is_known_later(folder: Path) -> None:
    text = PROGRAMS + SWARM + "timeline:\n  - {when: leecher has 50% of a.txt, kill: source of leecher}\n"
    text += "  - {at: 5s, isolate: source of leecher, for: 2s}\n" + EXPECT
    isolate, kill = load(folder, text).events
    seeders = ("seeder-1", "seeder-2", "seeder-3")
    assert isinstance(kill, KillPlan)
    assert (kill.source_of, kill.nodes) == ("leecher", seeders)
    assert [choice.nodes for choice in kill.choices] == [(name,) for name in seeders]
    assert {choice.index for choice in kill.choices} == {kill.index}
    assert kill.text == "kill source of leecher"
    assert isinstance(isolate, IsolatePlan)
    for name, choice in zip(isolate.nodes, isolate.choices, strict=True):
        assert isinstance(choice, IsolatePlan)
        assert all(name in pair for pair in choice.override.pairs)
        assert choice.lasts == 2.0


def test_nothing_is_certain_after_the_source_was_killed(folder: Path) -> None:
    text = PROGRAMS + SWARM + "timeline: [{at: 1s, kill: source of leecher}, {at: 2s, kill: seeder-1}]\n" + EXPECT
    assert len(load(folder, text).events) == 2


def test_pairs_are_counted(folder: Path) -> None:
    text = PROGRAMS + SWARM + "expect:\n  - {node: leecher, pairs: {with: seeder, received: at least 1MiB, count: 2}}\n"
    (check,) = load(folder, text).expectations
    assert isinstance(check, PairsCheckPlan)
    assert check.peers == ("seeder-1", "seeder-2", "seeder-3")
    assert (check.received, check.sent, check.count) == (Interval(2**20), None, Interval(2, 2))
    assert check.text == (
        "leecher has received at least 1MiB from seeder-1, seeder-2, seeder-3 and received something from 2 of "
        "seeder-1, seeder-2, seeder-3 before the end"
    )
