"""The command line of each node's program."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.lab.fakes import leecher, make_plan, seeder
from torrentnet.lab.engines.command_lines import command_lines, file_path
from torrentnet.lab.engines.types import NodeLocation
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role


def locations(plan: Plan) -> dict[str, NodeLocation]:
    return {
        node.name: NodeLocation(f"198.18.0.{index}", "/files", "/data")
        for index, node in enumerate(plan.nodes, start=2)
    }


def built(plan: Plan) -> dict[str, tuple[str, ...]]:
    return dict(command_lines(plan)(locations(plan)))


def test_peers_and_tracker_get_their_endpoints() -> None:
    lines = built(make_plan(nodes=(seeder(), leecher())))
    assert lines["tracker"] == ("tracker.py", "198.18.0.2:6771", "--name", "tracker", "--state", "/data")
    assert lines["leecher-1"] == (
        *("peer.py", "get", "a.txt", "198.18.0.2:6771", "198.18.0.4:6881"),
        *("--name", "leecher-1", "--dir", "/data"),
    )


def test_options_of_the_scenario_come_last() -> None:
    node = NodePlan("leecher-1", "leecher", Role.GET, "a.txt", 0.0, ("--seed", "7", "--timeout", "2s"))
    lines = built(make_plan(nodes=(node,)))
    assert lines["leecher-1"][-4:] == ("--seed", "7", "--timeout", "2s")


def test_a_file_in_a_folder_is_shared_under_its_last_name() -> None:
    words = built(make_plan(nodes=(replace(seeder(), file="fake/a.txt"),)))["seeder-1"]
    assert words[:3] == ("peer.py", "share", "a.txt")
    assert words[words.index("--dir") + 1] == "/files/fake"


def test_opentracker_has_a_directory_for_its_settings() -> None:
    plan = make_plan(nodes=(leecher(),))
    plan = replace(plan, nodes=(replace(plan.nodes[0], program=NodeProgram.OPENTRACKER), *plan.nodes[1:]))
    assert built(plan)["tracker"] == (
        *("client", "opentracker", "198.18.0.2:6771", "--name", "tracker", "--state", "/data/.opentracker"),
    )


def test_seeds_read_the_labs_files_and_leechers_write_their_own() -> None:
    location = NodeLocation("198.18.0.2", "/files", "/data")
    assert file_path(seeder(), location) == "/files/a.txt"
    assert file_path(leecher(), location) == "/data/a.txt"
