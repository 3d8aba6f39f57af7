"""The command line of each node's program."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.lab.fakes import leecher, make_plan, seeder
from torrentnet.lab.engines.command_lines import command_lines, file_path, listen_ports
from torrentnet.lab.engines.observer_command import FileFacts
from torrentnet.lab.engines.types import NodeLocation
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role
from torrentnet.lab.scenario.plan.program import Addresses, ProgramPlan

COMMANDS = (
    ("tracker", "python3 tracker.py {ip}:{port}"),
    ("share", "python3 peer.py share {file} {tracker} {listen}"),
    ("get", "python3 peer.py get {file} {tracker} {listen} --dir={dir}"),
    ("run", "server {args} {listen_port}"),
)
MINE = ProgramPlan("mine", None, "", "", COMMANDS, files="tmp", says=(("request logs", "all logs"),))


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


def foreign(*nodes: NodePlan, program: ProgramPlan = MINE) -> Plan:
    """A lab in which the scenario's own program runs everywhere."""
    plan = make_plan(nodes=nodes)
    own = tuple(replace(node, program=NodeProgram.FOREIGN, foreign=program) for node in plan.nodes)
    return replace(plan, nodes=own)


def observed(plan: Plan) -> dict[str, tuple[str, ...]]:
    where = {name: replace(one, program="/program", user="10001:10001") for name, one in locations(plan).items()}
    return dict(command_lines(plan, {"a.txt": FileFacts("a.txt", 100, "ab" * 32)})(where))


def test_a_program_of_the_scenario_runs_under_our_observer() -> None:
    lines = observed(foreign(seeder(), leecher()))
    everybody = (
        *("--node", "tracker=198.18.0.2:6771", "--node", "seeder-1=198.18.0.3:6881"),
        *("--node", "leecher-1=198.18.0.4:6882", "--datagrams", "--max-output", str(16 * 2**20)),
    )
    assert lines["seeder-1"] == (
        *("observe", "share", "--name", "seeder-1", "--listen", "127.0.0.1:6881", "--tracker", "127.0.0.1:6771"),
        *("--dir", "/data", "--program", "/program", "--files", "tmp", "--share", "/files/a.txt"),
        *("--file", "a.txt", "--size", "100", "--sha256", "ab" * 32, "--ready", "10", "--user", "10001:10001"),
        *("--says", "request logs=all logs", *everybody, "--"),
        *("python3", "peer.py", "share", "a.txt", "127.0.0.1:6771", "127.0.0.1:6881"),
    )
    assert "--share" not in lines["leecher-1"]
    assert lines["leecher-1"][-3:] == ("127.0.0.1:6771", "127.0.0.1:6882", "--dir=/data")
    assert lines["tracker"][-4:] == ("--", "python3", "tracker.py", "127.0.0.1:6771")


def test_nodes_on_one_machine_have_ports_of_their_own() -> None:
    real = replace(MINE, addresses=Addresses.REAL)
    nodes = (seeder(), leecher(), leecher("leecher-2"))
    assert listen_ports(foreign(*nodes).nodes) == {
        "tracker": 6771,
        "seeder-1": 6881,
        "leecher-1": 6882,
        "leecher-2": 6883,
    }
    assert set(listen_ports(foreign(*nodes, program=real).nodes).values()) == {6771, 6881}
    assert observed(foreign(*nodes, program=real))["leecher-2"][-3:-1] == ("198.18.0.2:6771", "198.18.0.5:6881")


def test_our_own_nodes_listen_at_the_port_that_the_others_are_told() -> None:
    plan = foreign(seeder(), leecher())
    plan = replace(plan, nodes=(*plan.nodes[:2], leecher()))
    assert observed(plan)["leecher-1"][:5] == ("peer.py", "get", "a.txt", "198.18.0.2:6771", "198.18.0.4:6882")


def test_a_lab_without_a_tracker_has_command_lines() -> None:
    server = NodePlan("server", "server", Role.RUN, None, 0.0, ("--verbose",), program=NodeProgram.FOREIGN)
    plan = replace(make_plan(), nodes=(replace(server, foreign=MINE),))
    words = observed(plan)["server"]
    assert words[:4] == ("observe", "run", "--name", "server")
    assert words[words.index("--") :] == ("--", "server", "--verbose", "6881")
    assert "--tracker" not in words


def test_a_torrent_reaches_the_program() -> None:
    program = replace(MINE, commands=(("get", "client get {torrent}"),), bittorrent=True)
    plan = foreign(leecher(), program=program)
    plan = replace(plan, nodes=(plan.nodes[0], replace(plan.nodes[1], torrents=("a.txt",))))
    words = observed(plan)["leecher-1"]
    assert words[words.index("--torrent") + 1] == "/files/.torrents/a.txt.torrent"
    # The observer's copy names the tracker.
    assert words[-3:] == ("client", "get", "/data/a.txt.torrent")
