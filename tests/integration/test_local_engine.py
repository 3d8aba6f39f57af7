"""The engine `local`: labs of processes, with network namespaces and without, on a machine with no Docker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import ROOT, SCENARIOS, Running, is_record, torrentnet
from torrentnet.lab.engines.base import NodeStatus, NothingChanged
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.engines.local import examine, protocol, registry
from torrentnet.lab.engines.local.engine import LocalEngine
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.lab import Lab
from torrentnet.lab.outcome import Verdict
from torrentnet.lab.owner import Owner, boot_id, lives, started_at
from torrentnet.lab.scenario import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOWHERE = "unix:///nonexistent/docker.sock"
LONG, QUICK = str(SCENARIOS / "long.yaml"), str(SCENARIOS / "quick.yaml")
NETWORKS = (protocol.NAMESPACES, protocol.LOOPBACK)
SHIPPED = (
    ("three_seeders", protocol.NAMESPACES),
    ("three_seeders", protocol.LOOPBACK),
    ("killed_seed", protocol.NAMESPACES),
    ("keepalive", protocol.LOOPBACK),
    ("tracker_restart", protocol.NAMESPACES),
    ("full_disk", protocol.NAMESPACES),
    ("slow_seed", protocol.NAMESPACES),
    ("partition_heals", protocol.NAMESPACES),
)
END_S = 20.0
AT_ONCE_S = 2.0
"""For the kernel to end what has lost its parent; far more than it takes."""


@pytest.fixture(scope="session", autouse=True)
def engine_answers() -> None:
    """In the place of the one that asks for Docker."""


@pytest.fixture(scope="module", autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A registry of these tests' own, so that nothing of a person's labs is looked at; empty at the end."""
    place = Path(f"/tmp/tn-{os.getpid()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(registry.ENVIRONMENT, str(place))
        patch.setenv("DOCKER_HOST", os.environ.get("DOCKER_HOST", ""))
        if not os.environ["DOCKER_HOST"]:
            patch.delenv("DOCKER_HOST")
        yield place
        left = [entry.name for entry in place.iterdir() if entry.name != registry.LOCK] if place.exists() else []
        (place / registry.LOCK).unlink(missing_ok=True)
        if place.exists() and not left:
            place.rmdir()
    assert not left


@pytest.fixture(scope="module")
def network_of_this_machine() -> str:
    """Which of the two ways this machine allows by itself."""
    return examine.find_way(ROOT).network


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, network_of_this_machine: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways to connect nodes."""
    wanted = str(request.param)
    if wanted == protocol.NAMESPACES != network_of_this_machine:
        pytest.skip(f"needs network namespaces: {examine.find_way(ROOT).why}")
    monkeypatch.setenv(examine.NETWORK, wanted)
    return wanted


@pytest.fixture
def namespaces(network_of_this_machine: str) -> None:
    """For tests of what only nodes with namespaces can do."""
    if network_of_this_machine != protocol.NAMESPACES:
        pytest.skip(f"needs network namespaces: {examine.find_way(ROOT).why}")


@pytest.fixture
def home(tmp_path: Path, runtime: Path) -> Iterator[Path]:
    """A home directory for labs; nothing of them is left at the test's end."""
    path = tmp_path / "home"
    path.mkdir()
    yield path
    assert not left_over(path, runtime)


@pytest.fixture
def small(tmp_path: Path, network: str, runtime: Path) -> Iterator[Lab]:
    """A lab to be driven by hand."""
    path = tmp_path / "home"
    path.mkdir()
    with Lab(load_plan(SCENARIOS / "small.yaml"), LocalEngine(ROOT), home=path) as lab:
        assert lab.engine.environment()["engine"].startswith(f"local ({network})")
        yield lab
    assert not left_over(path, runtime)


def left_over(home: Path, runtime: Path) -> list[str]:
    """Every file that labs have left, but their records."""
    found = [str(path) for path in home.rglob("*") if not is_record(path, home)]
    return found + [str(path) for path in runtime.iterdir() if path.name != registry.LOCK]


def local(home: Path, *argv: str, **more: str) -> tuple[int, str, str]:
    """The command line on this engine, to its end."""
    answer = torrentnet(home, *argv, **{"TORRENTNET_ENGINE": "local", "DOCKER_HOST": NOWHERE, **more})
    return answer.returncode, answer.stdout, answer.stderr


def running(home: Path, *argv: str, **more: str) -> Running:
    """The command line on this engine, while it goes on."""
    return Running(home, *argv, env={"TORRENTNET_ENGINE": "local", "DOCKER_HOST": NOWHERE, **more})


def processes(home: Path) -> dict[Owner, str]:
    """The keeper of every lab of a home with all that it has started, each with its command line."""
    found: dict[Owner, str] = {}
    for entry in registry.labs():
        if entry.lab is not None and Path(entry.lab.home) == home and (keeper := entry.keeper) is not None:
            for pid in [keeper.pid, *_below(keeper.pid)]:
                started = started_at(pid)
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    line = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
                    if started is not None:
                        found[Owner(boot_id(), pid, started)] = line
    return found


def _below(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        # A command in a node, which has ended meanwhile.
        return []
    return [one for child in map(int, children) for one in (child, *_below(child))]


def wait(true: Callable[[], bool], seconds: float = END_S) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


# ── the product's scenarios ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def shipped(
    tmp_path_factory: pytest.TempPathFactory, runtime: Path, network_of_this_machine: str
) -> Iterator[dict[tuple[str, str], tuple[Running, Path]]]:
    """The product's scenarios, all at once: labs do not meet."""
    labs = {}
    for name, way in SHIPPED:
        if way in {protocol.LOOPBACK, network_of_this_machine}:
            home = tmp_path_factory.mktemp(name)
            labs[name, way] = (running(home, "run", name, **{examine.NETWORK: way}), home)
    yield labs
    for lab, home in labs.values():
        with lab:
            pass
        assert [path.name for path in home.iterdir()] == ["runs"]


@pytest.mark.parametrize(("name", "way"), SHIPPED)
def test_shipped_scenario(name: str, way: str, shipped: dict[tuple[str, str], tuple[Running, Path]]) -> None:
    if (name, way) not in shipped:
        pytest.skip(f"needs network namespaces: {examine.find_way(ROOT).why}")
    lab, home = shipped[name, way]
    assert lab.wait() == 0, lab.text
    assert f"{name}: PASSED" in lab.text
    record = home / "runs" / name / "latest"
    result = json.loads((record / "result.json").read_text(encoding="utf-8"))
    assert result["verdict"] == "pass"
    assert result["environment"]["engine"].startswith(f"local ({way})")
    assert all(one["error"] is None for one in result["timeline"])
    nodes = {node["name"] for node in result["nodes"]}
    assert {path.stem for path in (record / "logs").iterdir()} == nodes
    assert {node["name"] for node in json.loads((record / "nodes.json").read_text(encoding="utf-8"))["nodes"]} == nodes
    assert (record / "junit.xml").is_file()
    # From the first word to t = 0, and from the last expectation to the end.
    assert result["seconds"]["total"] - result["seconds"]["run"] < 10.0


SLOW = """\
name: slow
about: So slow that every leecher has picked its source before the first of them is a source itself.
seed: 12
time_limit: 40s
files:
  myfile.txt: {size: 192KiB}
nodes:
  tracker: {tracker: {}}
  seeder: {share: myfile.txt, count: 4, upload: 512kbit}
  leecher: {get: myfile.txt, count: 4}
timeline:
  - {at: 5s, pause: 1 of seeder, for: 1s}
expect:
  - {node: leecher, has: myfile.txt, within: 30s}
  - {node: tracker, knows: 8, within: 30s}
"""


@pytest.mark.docker
def test_the_same_verdict_and_the_same_choices_as_on_docker(home: Path) -> None:
    engine = DockerEngine(ROOT)
    try:
        engine.check()
        engine.prepare(print)
    except LabError as error:
        pytest.skip(f"needs a Docker Engine: {error.message}")
    finally:
        engine.close()
    scenario = home / "runs" / "slow.yaml"
    scenario.parent.mkdir()
    scenario.write_text(SLOW, encoding="utf-8")
    told = {}
    for name in ("docker", "local"):
        answer = torrentnet(home, "run", str(scenario), "--engine", name)
        assert answer.returncode == 0, answer.stdout
        record = home / "runs" / "slow" / "latest"
        result = json.loads((record / "result.json").read_text(encoding="utf-8"))
        events = [json.loads(line) for line in (record / "events.jsonl").read_text(encoding="utf-8").splitlines()]
        picked = [
            (event["node"], event["fields"]["peer"], event["fields"]["among"])
            for event in events
            if event.get("event") == "picked"
        ]
        told[name] = (
            sorted(result),
            result["verdict"],
            result["seed"],
            [(one["text"], one["nodes"], one["error"]) for one in result["timeline"]],
            [one["text"] for one in result["expectations"]],
            sorted(result["environment"]),
            result["files"],
            sorted(picked),
        )
    assert told["local"] == told["docker"]
    assert len(told["local"][-1]) == 4


# ── which engine ─────────────────────────────────────────────────────────────────────────────────────────────


def test_without_docker_it_is_local(home: Path) -> None:
    answer = torrentnet(home, "run", QUICK, DOCKER_HOST=NOWHERE)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"engine: local (no Docker Engine answers at {NOWHERE}: No such file or directory)" in answer.stdout


def test_docker_is_not_replaced_where_it_was_asked_for(home: Path) -> None:
    for answer in (
        torrentnet(home, "run", QUICK, DOCKER_HOST=NOWHERE, TORRENTNET_ENGINE="docker"),
        torrentnet(home, "run", QUICK, "--engine", "docker", DOCKER_HOST=NOWHERE),
    ):
        assert answer.returncode == 3
        assert f"no Docker Engine answers at {NOWHERE}" in answer.stderr


def test_doctor_tells_of_both(home: Path) -> None:
    answer = torrentnet(home, "doctor", DOCKER_HOST=NOWHERE)
    assert answer.returncode == 0, answer.stdout
    assert "local: no Docker Engine answers" in answer.stdout
    assert "local: network" in answer.stdout
    assert "Docker Engine: only for the other engine: `make engine`" in answer.stdout


# ── nothing outlives a lab ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["run", "up"])
@pytest.mark.parametrize("moment", ["creating 5 nodes", "start leecher-1"])
def test_ctrl_c_cleans_up(home: Path, mode: str, moment: str, network: str) -> None:
    with running(home, mode, LONG) as lab:
        lab.wait_line(moment)
        mine = processes(home)
        lab.signal(signal.SIGINT)
        assert lab.wait() == 130, lab.text
    assert "Traceback" not in lab.text
    assert not [line for owner, line in mine.items() if lives(owner)]


@pytest.mark.parametrize("mode", ["run", "up"])
def test_kill_9_of_the_lab_ends_the_nodes_at_once(home: Path, mode: str, network: str, runtime: Path) -> None:
    with running(home, mode, LONG) as lab:
        lab.wait_line("has myfile.txt whole")
        mine = processes(home)
        assert sum("peer.py" in line for line in mine.values()) == 4
        lab.signal(signal.SIGKILL)
        assert lab.wait() == -signal.SIGKILL
    assert wait(lambda: not any(map(lives, mine)), AT_ONCE_S), [line for owner, line in mine.items() if lives(owner)]
    assert left_over(home, runtime)
    code, out, _ = local(home, "run", QUICK)
    assert code == 0, out
    assert "removed what torrentnet-long-" in out


def test_the_nodes_of_a_lab_that_is_up_live_and_die_with_their_keeper(home: Path, network: str) -> None:
    assert local(home, "up", QUICK)[0] == 0
    mine = processes(home)
    keeper = next(entry.keeper for entry in registry.labs() if entry.lab and Path(entry.lab.home) == home)
    assert keeper is not None
    assert all(map(lives, mine))
    os.kill(keeper.pid, signal.SIGKILL)
    assert wait(lambda: not any(map(lives, mine)), AT_ONCE_S)
    code, _, err = local(home, "status")
    assert code == 3
    assert "is gone: its nodes ended with the process that kept them" in err
    assert local(home, "down")[0] == 0


def test_a_command_that_runs_in_a_node_ends_with_it(small: Lab) -> None:
    done = threading.Thread(target=lambda: small.exec("other", "sleep", "300", timeout=60))
    done.start()
    assert wait(lambda: any(line.startswith("sleep 300") for line in processes(small.home).values()))
    sleeper = next(owner for owner, line in processes(small.home).items() if line.startswith("sleep 300"))
    small.kill("other")
    done.join(END_S)
    assert wait(lambda: not lives(sleeper), AT_ONCE_S)


# ── two labs ─────────────────────────────────────────────────────────────────────────────────────────────────

KNOCK = (
    "import socket, sys\n"
    "s = socket.socket(); s.settimeout(1)\n"
    "try: s.connect((sys.argv[1], 6881))\n"
    "except OSError: sys.exit(1)\n"
)


def test_two_labs_have_addresses_of_their_own(home: Path, network: str) -> None:
    plan = load_plan(SCENARIOS / "quick.yaml")
    with Lab(plan, LocalEngine(ROOT), home=home) as one, Lab(plan, LocalEngine(ROOT), home=home) as two:
        here, there = one.engine.places["seeder"].address, two.engine.places["seeder"].address
        assert here.rsplit(".", 1)[0] != there.rsplit(".", 1)[0]
        assert one.exec("tracker", "python3", "-c", KNOCK, here).status == 0
        # On the loopback interface a lab can reach the other's address; nobody tells it of that address.
        assert one.exec("tracker", "python3", "-c", KNOCK, there).status == (network == protocol.NAMESPACES)
        assert [lab.play().verdict for lab in (one, two)] == [Verdict.PASS, Verdict.PASS]


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_verb(small: Lab) -> None:
    engine = small.engine
    assert engine.state("leecher-1").status is NodeStatus.CREATED
    small.start("leecher-1")
    small.wait_event("leecher-1", "completed")
    with pytest.raises(NothingChanged):
        small.start("leecher-1")
    small.stop("seeder-1")
    assert (engine.state("seeder-1").status, engine.state("seeder-1").exit_code) == (NodeStatus.EXITED, 0)
    small.kill("seeder-2")
    assert engine.state("seeder-2").exit_code == 137
    small.wait_event("tracker", "forgotten", peer="seeder-2")
    with small.pause("other"):
        assert engine.state("other").status is NodeStatus.PAUSED
        with pytest.raises(EngineError, match="the node is paused"):
            small.exec("other", "true")
        small.wait_event("tracker", "forgotten", peer="other")
    assert engine.state("other").status is NodeStatus.RUNNING
    small.restart("leecher-1")
    # Its file is still there.
    small.wait_event("leecher-1", "published")
    with pytest.raises(EngineError, match=r"`true` in seeder-2: the node is not running"):
        small.exec("seeder-2", "true")
    small.start("seeder-2")
    small.start("leecher-2")
    small.wait_event("leecher-2", "completed")


def test_commands_in_a_node(small: Lab) -> None:
    assert small.console("tracker", "file_logs myfile.txt").output
    assert small.exec("tracker", "file_logs", "-all").status == 0
    assert small.exec("tracker", "request", "logs").status == 0
    assert small.exec("seeder-1", "console", "--ping").status == 0
    assert small.exec("seeder-1", "sh", "-c", "echo out; echo err >&2; exit 7").output == "out\nerr"
    assert small.exec("seeder-1", "sh", "-c", "kill -9 $$").status == 137
    assert small.exec("seeder-1", "python3", "-c", "print('x' * 300000)").stdout == "x" * 300000 + "\n"
    place = small.engine.places["leecher-1"]
    assert small.exec("seeder-1", "sha256sum", f"{place.files}/myfile.txt").status == 0
    with pytest.raises(EngineError, match=r"`sleep 60` did not end within 0.3 s"):
        small.exec("seeder-1", "sleep", "60", timeout=0.3)
    with pytest.raises(EngineError, match="No such file"):
        small.exec("seeder-1", "no-such-command")
    assert not any(line.startswith("sleep 60") for line in processes(small.home).values())


def test_a_node_with_namespaces_can_change_nothing_of_the_machine(tmp_path: Path, namespaces: None) -> None:
    with Lab(load_plan(SCENARIOS / "small.yaml"), LocalEngine(ROOT), home=tmp_path) as lab:
        engine = lab.engine
        assert engine.places["seeder-1"].data == "/data"
        assert lab.exec("seeder-1", "pwd").output == "/data"
        assert lab.exec("seeder-1", "hostname").output == "seeder-1"
        assert "Read-only file system" in lab.exec("seeder-1", "touch", f"{ROOT}/not-here").output
        assert "Read-only file system" in lab.exec("seeder-1", "touch", "/files/not-here").output
        assert lab.exec("seeder-1", "touch", "/data/here").status == 0
        assert lab.exec("seeder-2", "ls", "/data/here").status != 0
        assert lab.exec("seeder-1", "ip", "link", "set", "eth0", "down").status != 0
        assert "127.0.0.1" not in lab.exec("seeder-1", "cat", "/proc/net/route").output
        # As root, with all rights, in the node's own network and nowhere else.
        as_root = engine.exec_root("seeder-1", ["sh", "-s"], "ip -o -4 address show dev eth0; cat >&2", timeout=5)
        assert engine.places["seeder-1"].address in as_root.stdout


def test_a_partition_is_silent_and_heals(tmp_path: Path, namespaces: None) -> None:
    plan = load_plan(SCENARIOS / "small.yaml")
    with Lab(plan, LocalEngine(ROOT), home=tmp_path) as lab:
        try:
            fault = lab.partition(["tracker"], ["seeder-1"])
        except EngineError as error:
            pytest.skip(f"this machine cannot cut: {error.message}")
        with fault:
            lab.wait_event("tracker", "forgotten", peer="seeder-1")
            here = lab.engine.places["tracker"].address
            answer = lab.exec("seeder-1", "python3", "-c", KNOCK, here)
            assert answer.status == 1
        lab.wait_event("seeder-1", "tracker_back")


# ── what it cannot do ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scenario", "refusal"),
    [
        ("partition_heals", "this engine cannot give cut: the nodes are processes on the loopback interface"),
        ("full_disk", "this engine cannot give cramped a disk of limited size"),
    ],
)
def test_what_the_loopback_interface_cannot_give_is_refused_by_name(home: Path, scenario: str, refusal: str) -> None:
    code, out, _ = local(home, "run", scenario, **{examine.NETWORK: protocol.LOOPBACK})
    assert code == 3
    assert refusal in out


def test_bytes_are_not_counted_where_all_nodes_share_an_interface(home: Path) -> None:
    scenario = home / "runs" / "counted.yaml"
    scenario.parent.mkdir()
    text = Path(QUICK).read_text(encoding="utf-8")
    scenario.write_text(
        f"{text}  - {{node: leecher, bytes: {{received: at least 64KiB}}, within: 10s}}\n", encoding="utf-8"
    )
    code, out, _ = local(home, "run", str(scenario), **{examine.NETWORK: protocol.LOOPBACK})
    assert code == 3
    assert "this engine cannot count the bytes of a node" in out
    assert "the nodes share the loopback interface" in out


# ── a lab that is up ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_person_does_with_a_lab_that_is_up(home: Path, network: str) -> None:
    users_line = "MY_OWN=setting\n"
    (home / ".env").write_text(users_line, encoding="utf-8")
    code, out, _ = local(home, "up", QUICK)
    assert code == 0
    for hint in ("make status", "torrentnet attach tracker request logs", "make attach node=leecher", "make down"):
        assert hint in out
    assert "docker compose" not in out
    assert (home / ".env").read_text(encoding="utf-8") == users_line
    code, out, _ = local(home, "status", "--json")
    assert {row["node"]: row["state"] for row in json.loads(out)["nodes"]} == dict.fromkeys(
        ("tracker", "seeder", "leecher"), "running"
    )
    code, out, _ = local(home, "attach", "tracker", "file_logs", "myfile.txt")
    assert (code, "leecher" in out) == (0, True)
    code, _, err = local(home, "attach", "tracker", "file_logs", "nope.txt")
    assert (code, "nope.txt" in err) == (1, True)
    code, out, _ = local(home, "logs", "leecher")
    assert code == 0
    assert " completed file=myfile.txt " in out
    assert {line.split()[0] for line in out.splitlines()} == {"leecher"}
    with running(home, "logs", "--follow", "leecher") as following:
        following.wait_line(" completed file=myfile.txt ")
        following.signal(signal.SIGINT)
        assert following.wait() == 130
    # Another one takes its place.
    code, out, _ = local(home, "up", QUICK)
    assert (code, "quick is up already; taking it down first" in out) == (0, True)
    assert local(home, "down")[0] == 0
    (home / ".env").unlink()
