"""What ``torrentnet status`` shows of a lab that another process has brought up."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from tests.unit.lab.cli.test_app import run
from tests.unit.lab.cli.test_progress import terminal
from tests.unit.lab.stub import SCENARIO, StubEngine
from torrentnet.lab.cli import live_commands
from torrentnet.lab.cli.status import LabMonitor, fault_lines, natural_key, plain_lines, show_live
from torrentnet.lab.engines.owner import Owner
from torrentnet.lab.engines.types import NodeState, NodeStatus, StateChange
from torrentnet.lab.home import (
    OWNER_FILE,
    ActiveFault,
    RunningLab,
    find_current_lab,
    make_lab_directory,
    write_current_lab,
    write_faults,
    write_running_lab,
)
from torrentnet.lab.network import persisted_rules
from torrentnet.lab.network.persisted_rules import PersistedRules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.lab.engines.types import LogLine, LossCallback

UP = RunningLab("torrentnet-x-abc123", "x", "stub", "/record")


class RunningEngine(StubEngine):
    """A lab that is up, with nodes in every state."""

    def __init__(self) -> None:
        super().__init__()
        self.states = {
            "leecher-10": NodeState(NodeStatus.CREATED),
            "leecher-9": NodeState(NodeStatus.RUNNING),
            "seeder-1": NodeState(NodeStatus.EXITED, 137),
            "seeder-2": NodeState(NodeStatus.PAUSED),
            "tracker": NodeState(NodeStatus.RUNNING),
        }

    def watch(
        self,
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None:
        super().watch(on_line, on_state, on_lost)
        self.say("seeder-1", "state state=seed file=a.txt")
        self.say("seeder-2", "state state=seed file=a.txt")
        self.say("leecher-9", "state state=get file=a.txt")
        self.say("leecher-9", "picked peer=seeder-2 address=198.18.0.5:6881 among=1")
        self.say("leecher-9", "progress file=a.txt have=3 pieces=12")

    def start_by_hand(self, node: str, life: str) -> None:
        """Restart a node as ``docker restart`` does."""
        assert self._on_state is not None
        self.lives[node] = life
        for status in (NodeStatus.EXITED, NodeStatus.RUNNING):
            self._on_state(StateChange(node, 0.0, NodeState(status)))

    def remove(self) -> None:
        """Remove the lab from outside."""
        assert self._on_state is not None
        for node in self.states:
            self._on_state(StateChange(node, 0.0, NodeState(NodeStatus.GONE)))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> RunningEngine:
    engine = RunningEngine()
    monkeypatch.setattr(live_commands, "make_engine", lambda name: engine)
    return engine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    write_running_lab(tmp_path, UP)
    make_lab_directory(tmp_path, UP.project)
    return tmp_path


def test_status_is_a_table_in_a_pipe(engine: RunningEngine, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_faults(home, UP.project, [ActiveFault("links all: delay 20ms", 5.0, link=True)])
    status, out, err = run(capsys, "status")
    assert (status, err) == (0, "")
    golden.check("status.txt", out)
    assert engine.done == ["close"]


def test_status_is_a_json_document(engine: RunningEngine, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_faults(home, UP.project, [ActiveFault("isolate leecher-9", time.monotonic(), link=False)])
    now = time.time()
    _, out, _ = run(capsys, "status", "--json")
    document = json.loads(out)
    assert document["project"] == UP.project
    assert [row["node"] for row in document["nodes"]] == [
        "tracker",
        "leecher-9",
        "leecher-10",
        "seeder-1",
        "seeder-2",
    ]
    assert document["nodes"][1] == {
        "node": "leecher-9",
        "address": "198.18.0.3",
        "state": "running",
        "doing": "get",
        "have": 3,
        "pieces": 12,
        "source": "seeder-2",
        "rules": "",
        "progress": "3/12",
    }
    # For programs, the time of day.
    (fault,) = document["faults"]
    assert fault == {"text": "isolate leecher-9", "since": pytest.approx(now, abs=1.0), "link": False, "number": 0}


def test_a_node_restarted_by_hand_gets_its_rules_again(
    engine: RunningEngine, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    persisted_rules.persist_rules(
        home, UP.project, {node: PersistedRules("first", f"rules of {node}\n") for node in engine.states}
    )
    engine.lives = dict.fromkeys(engine.states, "first") | {"leecher-9": "second", "seeder-2": "second"}
    _, out, _ = run(capsys, "status")
    golden.check("status_mended.txt", out)
    assert ("leecher-9", "rules of leecher-9\n") in engine.scripts
    # No rules can be set in a paused node; the other nodes have lost none.
    engine.scripts.clear()
    engine.states["seeder-2"] = NodeState(NodeStatus.RUNNING)
    _, out, _ = run(capsys, "status", "--json")
    assert engine.scripts == [("seeder-2", "rules of seeder-2\n")]
    rules = {row["node"]: row["rules"] for row in json.loads(out)["nodes"]}
    assert rules == dict.fromkeys(engine.states, "") | {"seeder-2": "set again"}


def test_watching_sets_lost_rules_at_once(engine: RunningEngine, home: Path) -> None:
    persisted_rules.persist_rules(home, UP.project, {"leecher-9": PersistedRules("first", "rules\n")})
    engine.lives["leecher-9"] = "first"
    with LabMonitor(UP, engine, home) as monitor:
        lines = plain_lines(monitor)
        assert [next(lines) for _ in range(5)][1] == "leecher-9 198.18.0.3 get 3/12 from seeder-2"
        engine.start_by_hand("leecher-9", "second")
        assert next(lines) == (
            "leecher-9 was started again by hand, without the rules of its links; they are set again"
        )
        assert next(lines) == "leecher-9 198.18.0.3 running 3/12"
        assert engine.scripts == [("leecher-9", "rules\n")]
        engine.remove()


def test_watch_prints_changes_in_a_pipe(engine: RunningEngine, home: Path) -> None:
    write_faults(home, UP.project, [ActiveFault("isolate leecher-9", 5.0, link=False)])
    with LabMonitor(UP, engine, home) as monitor:
        lines = plain_lines(monitor)
        first = [next(lines) for _ in range(6)]
        assert first == [
            "begins: isolate leecher-9",
            "tracker 198.18.0.6 running",
            "leecher-9 198.18.0.3 get 3/12 from seeder-2",
            "leecher-10 198.18.0.2 created",
            "seeder-1 198.18.0.4 exited (137)",
            "seeder-2 198.18.0.5 paused",
        ]
        write_faults(home, UP.project, [])
        engine.say("leecher-9", "progress file=a.txt have=12 pieces=12")
        engine.say("leecher-9", "state state=seed file=a.txt")
        assert next(lines) == "ends: isolate leecher-9"
        assert next(lines) == "leecher-9 198.18.0.3 seed 12/12"
        engine.remove()
        assert {line.rsplit(maxsplit=1)[1] for line in lines} >= {"gone"}


def test_watch_shows_a_table_on_a_terminal(engine: RunningEngine, home: Path) -> None:
    out = io.StringIO()
    write_faults(home, UP.project, [ActiveFault("isolate leecher-9", 5.0, link=False)])
    with LabMonitor(UP, engine, home) as monitor:
        timer = threading.Timer(0.3, engine.remove)
        timer.start()
        show_live(monitor, terminal(out))
        timer.join()
    shown = out.getvalue()
    assert "3/12" in shown
    assert "isolate leecher-9 (for " in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (NodeState(NodeStatus.CREATED), "tracker has not been started"),
        (NodeState(NodeStatus.EXITED, 137), "tracker has ended with status 137"),
        (NodeState(NodeStatus.PAUSED), "tracker is paused and answers nothing"),
        (NodeState(NodeStatus.GONE), "tracker is gone"),
    ],
)
def test_a_node_that_does_not_run_cannot_be_attached(
    engine: RunningEngine, home: Path, capsys: pytest.CaptureFixture[str], state: NodeState, words: str
) -> None:
    engine.states["tracker"] = state
    for argv in (["attach", "tracker"], ["attach", "tracker", "status"], ["attach", "--json", "tracker", "status"]):
        status, _, err = run(capsys, *argv)
        assert status == 2
        assert err == (
            f"torrentnet: {words}, so that it has no command line now\n"
            "    `make logs node=tracker` shows what it printed, `make status` which nodes run\n"
        )


@pytest.mark.parametrize(
    ("foreign", "words", "command"),
    [(True, [], "console attach"), (True, ["status"], "console status"), (False, [], "console")],
)
def test_a_program_of_the_scenario_is_attached_by_its_own_terminal(
    engine: RunningEngine, home: Path, monkeypatch: pytest.MonkeyPatch, foreign: bool, words: list[str], command: str
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execvpe", lambda _file, argv, _environment: started.append(argv))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(type(engine), "runs_foreign", lambda _self, _node: foreign)
    monkeypatch.setattr(type(engine), "attach_command", lambda _self, _node, argv, *, terminal: [*argv])
    live_commands.attach("tracker", words, as_json=False)
    assert started == [command.split()]


def test_a_lab_whose_scenario_is_running_is_found_first(tmp_path: Path) -> None:
    write_running_lab(tmp_path, UP)
    assert find_current_lab(tmp_path) == UP
    current = RunningLab("torrentnet-y-def456", "y", "stub", "/other")
    folder = make_lab_directory(tmp_path, current.project)
    write_current_lab(tmp_path, current)
    assert find_current_lab(tmp_path) == current
    dead = Owner.myself()
    (folder / OWNER_FILE).write_text(str(dead).replace(dead.boot, "another-boot"), encoding="ascii")
    assert find_current_lab(tmp_path) == UP


def test_faults_and_links_are_shown_as_lines() -> None:
    faults = [ActiveFault("links all: delay 20ms", 5.0, link=True), ActiveFault("isolate a", 5.0, link=False)]
    assert list(fault_lines(faults, 7.5)) == ["link: links all: delay 20ms", "fault: isolate a (for 2.5 s)"]


def test_names_are_sorted_naturally() -> None:
    assert sorted(["b-10", "b-9", "a", "tracker"], key=natural_key) == ["tracker", "a", "b-9", "b-10"]


def test_the_stubs_scenario_is_valid(tmp_path: Path) -> None:
    from torrentnet.lab.scenario.load import load_plan

    (tmp_path / "x.yaml").write_text(SCENARIO, encoding="utf-8")
    assert len(load_plan(tmp_path / "x.yaml", settings={"seeders": "4"}).nodes) == 6


def test_the_end_of_its_reader_ends_the_command_behind_logs() -> None:
    code = """
import os, sys
from torrentnet.lab.cli import live_commands
from torrentnet.runtime.standard_streams import guarded_streams
with guarded_streams():
    status = live_commands._print_escaped(["sh", "-c", "while :; do echo line; done"], os.environ, "")
sys.exit(status)
"""
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -1', sys.executable, code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "line\n", "")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("2026-11-23T12:29:11.123Z picked among=3", "2026-11-23T12:29:11.123Z    1.023 s  picked among=3"),
        ("a-1  | 2026-11-23T12:29:10.000Z left", "a-1  | 2026-11-23T12:29:10.000Z   -0.100 s  left"),
        ("2026-99-23T12:29:11.123Z picked", "2026-99-23T12:29:11.123Z picked"),
        ("no event", "no event"),
    ],
)
def test_logs_show_the_seconds_after_zero_beside_utc(line: str, shown: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert live_commands._print_escaped(["printf", "%s", line], os.environ, "2026-11-23T12:29:10.100Z") == 0
    assert capfd.readouterr().out == shown + "\n"
