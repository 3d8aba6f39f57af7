"""Faults of the network in a real lab.

The tests cover what the faults do to real programs, how they end, and what is left of them.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engines import DOCKER, LOCAL, leaves_a_dead_lab
from tests.integration.helpers import ROOT, SCENARIOS, environment, torrentnet, wait
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.types import NothingChangedError
from torrentnet.lab.errors import EngineError, LabError, UsageError
from torrentnet.lab.home import read_faults
from torrentnet.lab.network import capabilities
from torrentnet.lab.network.netns_exec import NetnsExec
from torrentnet.lab.network.probe import FACTS, choose_capabilities
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.events import (
    AfterTrigger,
    ConsolePlan,
    DownTrigger,
    EventPlan,
    HasTrigger,
    HealPlan,
    KillPlan,
    PartitionPlan,
    RunPlan,
    SeedTrigger,
)
from torrentnet.lab.scenario.plan.expectations import HasCheckPlan, Within
from torrentnet.lab.scenario.plan.limits import NodeLimits
from torrentnet.lab.scenario.plan.plan import FilePlan, NodePlan, Role
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines import Kind
    from torrentnet.lab.engines.types import ExecResult
    from torrentnet.lab.scenario.plan.plan import Plan

ASK_TRACKER = """
import socket, struct, sys
host, count, wait = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
answered = 0
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for number in range(count):
        sock.sendto(struct.pack(">QII", 0x41727101980, 0, number), (host, 6771))
    sock.settimeout(wait)
    try:
        while answered < count and sock.recv(100):
            answered += 1
    except TimeoutError:
        pass
print(answered)
"""
"""Sends so many connect requests (BEP 15) and counts the answers."""
CALL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 6881), timeout=float(sys.argv[2])).close()
    print("connected")
except TimeoutError:
    print("silence")
except OSError as error:
    print(error)
"""


def answers(lab: Lab, node: str, count: int = 3, wait: float = 0.5) -> int:
    """How many of so many questions the tracker answers."""
    said = lab.exec(node, "python3", "-c", ASK_TRACKER, lab.engine.locations["tracker"].address, str(count), str(wait))
    return int(said.stdout)


def call(lab: Lab, caller: str, called: str, wait: float = 0.5) -> str:
    """What comes of a TCP connection."""
    said = lab.exec(caller, "python3", "-c", CALL, lab.engine.locations[called].address, str(wait))
    return said.stdout.strip()


def test_a_partition_is_silent_and_heals(small: Lab) -> None:
    assert call(small, "other", "seeder-1") == "connected"
    with small.partition(["tracker", "seeder"], "other") as cut:
        assert set(cut.set_in) == {"tracker", "seeder-1", "seeder-2", "other"}
        assert call(small, "other", "seeder-1") == "silence"
        assert call(small, "seeder-2", "other") == "silence"
        assert answers(small, "other") == 0
        # On one side all goes on.
        assert call(small, "seeder-1", "seeder-2") == "connected"
        assert answers(small, "seeder-1") == 3
        assert [fault.text for fault in small.faults.active()] == ["partition tracker, seeder | other"]
        assert [fault.text for fault in read_faults(small.home, small.project)] == ["partition tracker, seeder | other"]
    assert call(small, "other", "seeder-1") == "connected"
    assert answers(small, "other") == 3
    assert cut.measured is not None
    assert cut.measured.counters.lost >= 5
    assert "packets stopped" in cut.measured.text()
    assert small.faults.active() == []


def test_a_one_way_partition_drops_one_direction(small: Lab) -> None:
    began = time.time()
    small.restart("other")
    small.wait_event("other", "published", since=began)
    with small.partition("tracker", "other", one_way=True) as cut:
        silent = small.wait_event("other", "tracker_silent", since=began)
        # What it says arrives: the tracker has not missed it.
        assert small.nodes.first("tracker", "forgotten", since=began, peer="other") is None
        assert "other" in small.console("tracker", "peers").output
    small.wait_event("other", "tracker_back", since=silent.time)
    assert cut.measured is not None
    assert cut.measured.counters.lost > 0


def test_loss_loses_its_share(small: Lab) -> None:
    with small.impair(to="tracker", loss="50%") as fault:
        got = answers(small, "seeder-1", count=200, wait=1.0)
    # Beyond six standard deviations on both sides.
    assert 57 <= got <= 143
    assert fault.measured is not None
    assert fault.measured.counters.arrived >= 200
    assert "lost (" in fault.measured.text()


def test_a_rate_limits_a_download_also_after_a_restart(small: Lab) -> None:
    with small.impair(to="leecher", rate="4mbit") as fault, small.partition("leecher-1", "seeder-2"):
        small.start("leecher-1")
        assert call(small, "leecher-1", "seeder-2") == "silence"
        small.kill("leecher-1")
        small.restart("leecher-1")
        assert call(small, "leecher-1", "seeder-2") == "silence"
        small.wait_event("leecher-1", "listening")
        done = small.wait_event("leecher-1", "completed")
        assert "seeder-2" not in done.fields["sources"]
        # 1 MiB at 4 Mbit/s; what was loaded before the kill counts too.
        assert small.measure()["seeder-1", "leecher-1"].sent_bytes > 2**20
        took = done.number("ms") or 0
        assert took > 500
    assert fault.measured is not None
    assert "sent" in fault.measured.text()
    assert call(small, "leecher-1", "seeder-2") == "connected"


def test_delay_is_set_for_each_direction(small: Lab) -> None:
    if not small._find_capabilities().delay.ok:
        pytest.skip(f"this engine does not support delay: {small._find_capabilities().delay.reason}")
    with small.impair(from_="tracker", to="other", delay="400ms"):
        assert answers(small, "other", wait=0.2) == 0
        assert answers(small, "other", wait=2.0) == 3
        assert answers(small, "seeder-1", wait=0.2) == 3
    assert answers(small, "other", wait=0.2) == 3


def test_a_paused_node_gets_faults_when_it_resumes(small: Lab) -> None:
    with small.pause("seeder-2"):
        cut = small.isolate("seeder-2")
    assert call(small, "seeder-2", "seeder-1") == "silence"
    small.heal()
    assert call(small, "seeder-2", "seeder-1") == "connected"
    assert cut.measured is not None


def test_faults_without_effect_or_sense_are_errors(small: Lab) -> None:
    with small.isolate("seeder-1"), pytest.raises(NothingChangedError, match=r"partition seeder-1 \| tracker changed"):
        small.partition("seeder-1", "tracker")
    with pytest.raises(UsageError, match="seeder-1 would be on both sides"):
        small.partition("seeder-1", "seeder")
    with pytest.raises(UsageError, match="no quality is given"):
        small.impair(to="seeder")
    with pytest.raises(UsageError, match="`5` is not a share"):
        small.impair(to="seeder", loss="5")
    assert small.faults.active() == []


def test_a_missing_quality_is_an_error_before_any_node(
    home: Path, engine: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {fact: "no such kind" if fact.startswith("netem") else "" for fact in FACTS}
    monkeypatch.setattr(capabilities, "find_capabilities", lambda *_: choose_capabilities(facts, None))
    plan = load_plan(SCENARIOS / "quick.yaml")
    link = LinkOverride(frozenset({("seeder", "leecher")}), LinkQualities(delay=0.02), "to leecher: delay 20ms")
    with pytest.raises(EngineError, match="this engine does not support delay") as refused:
        Lab(replace(plan, links=(link,)), engine.make(), home=home).__enter__()
    assert "kernel with netem" in refused.value.hint
    assert not engine.left_over(home)


def test_a_node_that_starts_behind_a_cut_is_cut_off(home: Path, engine: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    run_one = NetnsExec._run_one

    def busy(netns_exec: NetnsExec, node: str, script: str) -> ExecResult | LabError:
        # On a busy machine it takes so long until a node can be told anything; a peer publishes in a tenth of it.
        time.sleep(1.0)
        return run_one(netns_exec, node, script)

    monkeypatch.setattr(NetnsExec, "_run_one", busy)
    with Lab(load_plan(SCENARIOS / "cut_before.yaml"), engine.make(), home=home) as lab:
        assert lab.play().verdict is Verdict.PASSED, lab.outcome


# -- a scenario's own ------------------------------------------------------------------------------


def cut(*sides: tuple[str, ...]) -> LinkOverride:
    """Two sides that do not hear each other."""
    pairs = {pair for a in sides[0] for b in sides[1] for pair in ((a, b), (b, a))}
    return LinkOverride(frozenset(pairs), LinkQualities(cut=True), "partition")


def faulty_plan() -> Plan:
    """Return a plan in which network faults interrupt a download.

    It has eight nodes, so that the helper is used. The download takes two seconds, and is cut off before its end.
    """
    base = load_plan(SCENARIOS / "small.yaml")
    files = (*base.files, FilePlan("aside/spare.txt", 2**20))
    fast = ("--piece-length", "64KiB")
    small = NodeLimits(disk=4 * 2**20, explicit=("disk",))
    nodes = (
        base.nodes[0],
        *(NodePlan(f"seeder-{number}", "seeder", Role.SHARE, "myfile.txt", 0.0, fast) for number in (1, 2, 3)),
        NodePlan("faker", "faker", Role.SHARE, "aside/spare.txt", 60.0, fast),
        *(
            NodePlan(f"leecher-{number}", "leecher", Role.GET, "myfile.txt", 0.0, ("--timeout", "1s"), small)
            for number in (1, 2, 3)
        ),
    )
    slow = LinkOverride(
        frozenset((f"seeder-{a}", f"leecher-{b}") for a in (1, 2, 3) for b in (1, 2, 3)),
        LinkQualities(rate=4e6),
        "to leecher: rate 4mbit",
    )
    seeds, leechers = ("seeder-1", "seeder-2", "seeder-3"), ("leecher-1", "leecher-2", "leecher-3")
    half = HasTrigger(text="leecher-1 has 25% of myfile.txt", nodes=("leecher-1",), file="myfile.txt", share=0.25)
    seed = SeedTrigger(text="leecher is seed", nodes=leechers)
    never = DownTrigger(text="seeder-2 is down", nodes=("seeder-2",))

    def event(index: int, kind: type[EventPlan], nodes: tuple[str, ...], text: str, **more: Any) -> EventPlan:
        more = {"index": index, "at": 0.0, "nodes": nodes, "text": text, "where": f"trial.yaml:{index}:1", **more}
        return kind(**more)

    after_cut = AfterTrigger(text="500ms after partition", event=1, delay=0.5)
    return replace(
        base,
        name="faulty",
        time_limit=16.0,
        files=files,
        nodes=nodes,
        links=(slow,),
        events=(
            event(0, RunPlan, seeds, "run: id", at=0.2, command="test -r /files/myfile.txt && echo $((6 * 7))"),
            event(1, PartitionPlan, (*seeds, *leechers), "partition", when=half, override=cut(seeds, leechers)),
            event(2, HealPlan, (*seeds, *leechers), "heal partition", when=after_cut, ends=(1,)),
            event(3, ConsolePlan, ("tracker",), "console", when=seed, command="file_logs myfile.txt"),
            event(4, RunPlan, ("leecher-2",), "run: false", when=seed, command="echo oops >&2; exit 3"),
            event(5, KillPlan, ("seeder-3",), "kill seeder-3", when=never),
        ),
        expectations=(
            HasCheckPlan(
                index=0,
                nodes=leechers,
                text="leechers have it",
                where="trial.yaml:9:1",
                timing=Within(15.0),
                file="myfile.txt",
            ),
        ),
    )


def test_a_whole_scenario_with_faults(home: Path, engine: Kind) -> None:
    with Lab(faulty_plan(), engine.make(), home=home) as lab:
        assert [fault.text for fault in read_faults(home, lab.project)] == ["to leecher: rate 4mbit"]
        outcome = lab.play()
        disk = lab.exec("leecher-1", "sh", "-c", "stat -c %u:%g /data; df -B1 --output=size,fstype /data | tail -1")
        assert disk.stdout.split() == [engine.user, str(4 * 2**20), "tmpfs"]
        lab.start("faker")
        lab.wait_event("faker", "published", file="spare.txt")
        assert lab.sha256("faker") == lab.hashes["aside/spare.txt"]
    assert outcome.verdict is Verdict.FAILED
    result = json.loads((lab.directory / "result.json").read_text(encoding="utf-8"))
    rows = {row["event"]: row for row in result["timeline"] if row["event"] is not None}
    assert all(one["passed"] for one in result["expectations"])
    assert [row["error"] is None for _, row in sorted(rows.items())] == [True, True, True, True, False, False]
    assert [one["text"] for one in rows[0]["outputs"]] == ["42"] * 3
    assert rows[1]["measured"]["lost"] > 0
    assert "packet" in rows[1]["measured"]["text"]
    assert 0.4 < rows[2]["began"] - rows[1]["began"] < 5.0
    assert "leecher-3" in rows[3]["outputs"][0]["text"]
    assert rows[4]["error"] == "`echo oops >&2; exit 3` in leecher-2 ended with status 3: oops"
    assert rows[5]["error"] == "kill seeder-3 did not happen: `seeder-2 is down` did not become true"
    recorded = (lab.directory / "events.jsonl").read_text(encoding="utf-8")
    assert '"event": "applied"' in recorded and "end of partition" in recorded
    assert not engine.left_over(home)


PLAY = """
import sys
from pathlib import Path
from tests.integration.test_faults import faulty_plan
from torrentnet.lab.engines.selection import DEFAULT, make_engine
from torrentnet.lab.api import Lab
with Lab(faulty_plan(), make_engine(DEFAULT), home=Path(sys.argv[1])) as lab:
    with lab.isolate("seeder-3"):
        print("cut", flush=True)
        sys.stdin.read()
"""


@leaves_a_dead_lab(DOCKER, LOCAL)
def test_the_next_start_removes_what_kill_9_left_of_a_fault(home: Path, engine: Kind) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PLAY, str(home)],
        cwd=ROOT,
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as lab:
        assert lab.stdout is not None
        assert lab.stdout.readline() == "cut\n"
        if engine is DOCKER:
            # Eight nodes, the helper, and what holds the nodes' disks.
            assert sum(one.startswith("container ") for one in engine.left_over(home)) == 10
        lab.send_signal(signal.SIGKILL)
    assert engine.left_over(home)
    assert torrentnet(home, "down").returncode == 0
    assert wait(lambda: not engine.left_over(home))
