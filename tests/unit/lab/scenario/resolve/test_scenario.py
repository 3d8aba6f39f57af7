from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.scenario.scenario_files import HEAD, load
from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.plan.events import KillPlan, PausePlan, RestartPlan, StartPlan, StopPlan
from torrentnet.lab.scenario.plan.expectations import (
    At,
    BecomesCheckPlan,
    ConsoleCheckPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    StateCheckPlan,
    Within,
)
from torrentnet.lab.scenario.plan.plan import FilePlan, Role

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan


def options(node: NodePlan) -> dict[str, str]:
    return dict(zip(node.arguments[::2], node.arguments[1::2], strict=True))


def node(plan: Plan, name: str) -> NodePlan:
    return next(node for node in plan.nodes if node.name == name)


def test_a_group_with_a_count_has_numbered_nodes(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD + "  lone: {get: myfile.txt}\n  one: {get: myfile.txt, count: 1}\n")
    assert [node.name for node in plan.nodes] == [
        "tracker",
        *(f"seeder-{index}" for index in (1, 2, 3)),
        *(f"leecher-{index}" for index in (1, 2, 3, 4, 5)),
        "lone",
        "one-1",
    ]
    assert [node.role for node in plan.nodes][:5] == [Role.TRACKER, *[Role.SHARE] * 3, Role.GET]
    assert {node.file for node in plan.nodes if node.role is not Role.TRACKER} == {"myfile.txt"}
    assert node(plan, "tracker").file is None


def test_starts_are_staggered(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD)
    assert [node.start for node in plan.nodes if node.group == "leecher"] == [2.0, 2.2, 2.4, 2.6, 2.8]
    assert {node.start for node in plan.nodes if node.group == "seeder"} == {0.0}


def test_options_become_command_line_arguments(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        """\
files: {a.bin: {size: 1MiB}}
nodes:
  tracker: {tracker: {keepalive: 500ms, timeout: 1.5s}}
  seeder: {share: a.bin, piece_length: 64KiB, upload: 8mbit}
  leecher: {get: a.bin, timeout: 3s, give_up: 90s, strategy: swarm, upload: 1MiB/s}
  plain: {get: a.bin}
""",
    )
    said = {name: options(node(plan, name)) for name in ("tracker", "seeder", "leecher", "plain")}
    assert all(said[name].pop("--seed").isdecimal() for name in said)
    assert said == {
        "tracker": {"--keepalive": "500ms", "--timeout": "1.5s"},
        "seeder": {"--piece-length": "64KiB", "--upload-rate": "8mbit"},
        "leecher": {"--timeout": "3s", "--give-up": "90s", "--strategy": "swarm", "--upload-rate": "1MiB/s"},
        "plain": {},
    }


def test_node_seeds_differ_and_follow_from_the_scenario_seed(tmp_path: Path) -> None:
    first = {node.name: options(node)["--seed"] for node in load(tmp_path, "seed: 7\n" + HEAD).nodes}
    again = {node.name: options(node)["--seed"] for node in load(tmp_path, "seed: 7\n" + HEAD).nodes}
    other = {node.name: options(node)["--seed"] for node in load(tmp_path, "seed: 8\n" + HEAD).nodes}
    assert first == again
    assert len(set(first.values())) == len(first)
    assert all(first[name] != other[name] for name in first)


def test_optional_keys_have_defaults(tmp_path: Path) -> None:
    plan = load(tmp_path, "nodes: {tracker: {tracker: {}}}\n", "my_lab")
    assert (plan.name, plan.about, plan.seed, plan.time_limit) == ("my_lab", "", 1, 60.0)
    assert (plan.files, plan.events, plan.expectations) == ((), (), ())
    assert options(plan.nodes[0]).items() >= {"--keepalive": "5s", "--timeout": "15s"}.items()


def test_a_name_must_be_the_files(tmp_path: Path) -> None:
    assert load(tmp_path, "name: my_lab\n" + HEAD, "my_lab").name == "my_lab"
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, HEAD, "My Lab")
    assert [(problem.path, problem.text) for problem in caught.value.problems] == [
        ("", "`My Lab` cannot be the name of a scenario")
    ]


def test_files_are_generated_or_copied_from_a_relative_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    source = tmp_path / "data" / "given name.txt"
    source.write_text("content")
    (tmp_path / "labs").mkdir()
    plan = load(
        tmp_path / "labs",
        """\
files:
  made.bin: {size: 1MiB}
  empty: {size: 0B}
  größe 1.txt: {source: "../data/given name.txt"}
nodes: {tracker: {tracker: {}}}
""",
    )
    assert plan.files == (
        FilePlan("made.bin", 2**20),
        FilePlan("empty", 0),
        FilePlan("größe 1.txt", source),
    )


def test_events_are_sorted_by_time(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        HEAD
        + """\
timeline:
  - {at: 9s, start: seeder-1}
  - {at: 5s, kill: seeder-1}
  - {at: 6s, pause: [seeder-2, leecher-1], for: 1.5s}
  - {at: 7s, restart: 2 of leecher}
  - {at: 8s, pause: seeder-3, until: 20s}
  - {at: 10s, pause: tracker, for: rest}
  - {at: 11s, stop: leecher}
""",
    )
    assert [
        (event.index, event.at, type(event), event.text, getattr(event, "lasts", None)) for event in plan.events
    ] == [
        (0, 5.0, KillPlan, "kill seeder-1", None),
        (1, 6.0, PausePlan, "pause seeder-2, leecher-1 for 1.5s", 1.5),
        (2, 7.0, RestartPlan, f"restart 2 of leecher ({', '.join(plan.events[2].nodes)})", None),
        (3, 8.0, PausePlan, "pause seeder-3 for 12s", 12.0),
        (4, 9.0, StartPlan, "start seeder-1", None),
        (5, 10.0, PausePlan, "pause tracker for the rest of the run", None),
        (6, 11.0, StopPlan, "stop leecher", None),
    ]
    assert plan.events[1].nodes == ("seeder-2", "leecher-1")
    assert len(plan.events[2].nodes) == 2
    assert plan.events[0].where == f"{tmp_path}/experiment.yaml:9:5"


EXPECTED = """\
time_limit: 50s
timeline:
  - {at: 5s, kill: seeder-1}
  - {at: 6s, pause: [seeder-2, leecher-1], for: 2s}
  - {at: 15s, restart: leecher}
  - {at: 20s, restart: leecher}
expect:
  - {node: leecher, has: myfile.txt, within: 40s}
  - {node: tracker, forgets: seeder-1, within: 2.5s, after: kill seeder-1}
  - {node: [leecher-1, leecher-2], becomes: seed}
  - {node: tracker, console: file_logs myfile.txt, contains: leecher-5, lacks: [x, y], at: 30s}
  - {node: seeder-1, state: running, at: 40s}
  - {node: seeder-2, state: running, within: 3s, after: "pause [seeder-2,leecher-1]"}
  - {node: leecher, has: myfile.txt, after: restart leecher at 20s}
"""


def test_expectations_are_resolved(tmp_path: Path) -> None:
    plan = load(tmp_path, EXPECTED + HEAD)
    said = plan.expectations
    assert [(one.index, one.timing) for one in said] == [
        (0, Within(40.0)),
        (1, Within(2.5, after=0)),
        (2, Within(50.0)),
        (3, At(30.0)),
        (4, At(40.0)),
        (5, Within(3.0, after=1)),
        (6, Within(30.0, after=3)),
    ]
    has, forgets, becomes, console, state, second_state, second_has = said
    assert isinstance(has, HasCheckPlan)
    assert has.file == "myfile.txt"
    assert has.nodes == tuple(f"leecher-{index}" for index in range(1, 6))
    assert isinstance(forgets, ForgetsCheckPlan)
    assert forgets.peers == ("seeder-1",)
    assert isinstance(becomes, BecomesCheckPlan)
    assert becomes.state == "seed"
    assert isinstance(console, ConsoleCheckPlan)
    assert (console.command, console.contains, console.lacks) == ("file_logs myfile.txt", ("leecher-5",), ("x", "y"))
    assert isinstance(state, StateCheckPlan)
    assert state.state == "running"
    assert isinstance(second_state, StateCheckPlan)
    assert isinstance(second_has, HasCheckPlan)


def test_expectations_are_sentences(tmp_path: Path) -> None:
    assert [one.text for one in load(tmp_path, EXPECTED + HEAD).expectations] == [
        "every leecher (5) has myfile.txt within 40s",
        "tracker forgets seeder-1 within 2.5s after kill seeder-1",
        "leecher-1, leecher-2 become seeds before the end",
        "tracker answers `file_logs myfile.txt` with output that contains leecher-5 and lacks x, y at 30s",
        "seeder-1 is running at 40s",
        "seeder-2 is running within 3s after pause seeder-2, leecher-1",
        "every leecher (5) has myfile.txt after restart leecher at 20s, before the end",
    ]
