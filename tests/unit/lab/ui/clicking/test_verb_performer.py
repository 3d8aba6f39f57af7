"""Tests of the verbs: each answer says what has really happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab.fakes import FakeClock, FakeEngine, leecher, make_plan, seeder
from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import LabError
from torrentnet.lab.network.probe import FACTS, choose_capabilities
from torrentnet.lab.run.network_verbs import NetworkVerbs
from torrentnet.lab.run.recorder import Recorder
from torrentnet.lab.run.timeline.network_faults import NetworkFaults
from torrentnet.lab.ui.clicking.verb_performer import VerbPerformer
from torrentnet.lab.ui.verb_request import VerbAnswer, VerbRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODES = ("tracker", "seeder-1", "seeder-2", "leecher-1")


class HandLab(NetworkVerbs):
    """A lab whose engine only records calls, and what a page does with it."""

    def __init__(self, folder: Path) -> None:
        plan = make_plan(nodes=(seeder(), seeder("seeder-2"), leecher(), leecher("leecher-2", start=5.0)))
        self.engine = self.fake = FakeEngine(*NODES, created=("leecher-2",))
        self._nodes = {node.name: node for node in plan.nodes}
        self._recorder = Recorder(folder, self._nodes)
        self._undo_handles = []
        self.faults = NetworkFaults(self.engine, lambda: choose_capabilities(dict.fromkeys(FACTS, ""), None))
        self.engine.observe(self.faults)
        for node in NODES:
            self.faults.node_started(node)
        self.time = FakeClock()
        self.touched: list[str] = []
        self.performer = VerbPerformer(self, plan.nodes, on_touch=self.touched.append, taken=["mended"])

    def act(self, verb: str, at: float = 1.0, **more: Any) -> VerbAnswer:
        """Carry a verb out at a time."""
        self.time.time = at
        return self.performer.act(VerbRequest(verb, **more), self.time)  # type: ignore[arg-type]

    def items(self) -> list[dict[str, Any]]:
        """Return what was clicked."""
        return [click.item() for click in self.performer.clicks.all()]

    def close(self) -> None:
        """End the threads."""
        self.faults.close()
        self._recorder.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HandLab]:
    found = HandLab(tmp_path)
    yield found
    found.close()


def test_kill_is_carried_out_and_named(lab: HandLab) -> None:
    answer = lab.act("kill", nodes=("seeder-1",))
    assert answer == VerbAnswer(True, "seeder-1 killed", "lab.kill('seeder-1')", "- {at: 1s, kill: seeder-1}")
    assert lab.fake.done == ["kill seeder-1"]
    assert lab.touched == ["kill seeder-1 at 1.0 s"]


def test_group_stands_for_all_of_its_nodes(lab: HandLab) -> None:
    answer = lab.act("stop", nodes=("seeder-1", "seeder-2"))
    assert answer.text == "seeder stopped"
    assert answer.yaml == "- {at: 1s, stop: seeder}"


def test_command_is_that_of_compose_where_there_is_one(lab: HandLab) -> None:
    lab.performer._compose = lambda: "docker compose"
    assert (
        lab.act("restart", nodes=("seeder-1",)).command
        == "docker compose stop seeder-1 && docker compose start seeder-1"
    )


def test_what_changes_nothing_is_no_click(lab: HandLab) -> None:
    lab.act("kill", nodes=("seeder-1",))
    again = lab.act("kill", nodes=("seeder-1",), at=2.0)
    assert again == VerbAnswer(False, "kill seeder-1 changed nothing: the node is exited (137)")
    both = lab.act("kill", nodes=("seeder-1", "leecher-1"), at=3.0)
    assert not both.ok
    assert both.text == "leecher-1 killed; kill seeder-1 changed nothing: the node is exited (137)"
    assert lab.items() == [{"at": "1s", "kill": "seeder-1"}, {"at": "3s", "kill": "leecher-1"}]
    assert len(lab.touched) == 2


def test_node_that_starts_by_itself_later_is_not_started(lab: HandLab) -> None:
    assert lab.act("start", nodes=("leecher-2",)).text == "leecher-2 starts by itself, at 5 s"
    assert lab.act("start", at=6.0, nodes=("leecher-2",)).ok


def test_pause_and_resume_are_one_item(lab: HandLab) -> None:
    assert lab.act("pause", nodes=("seeder-1", "leecher-1")).yaml.splitlines() == [
        "- {at: 1s, pause: seeder-1, for: rest}",
        "- {at: 1s, pause: leecher-1, for: rest}",
    ]
    assert lab.act("resume", at=3.5, nodes=("seeder-1",)).yaml == "- {at: 1s, pause: seeder-1, for: 2.5s}"
    assert lab.items()[1]["for"] == "rest"


def test_killed_node_is_not_paused_any_more(lab: HandLab) -> None:
    lab.act("pause", nodes=("seeder-1",))
    lab.act("kill", at=2.0, nodes=("seeder-1",))
    assert lab.items()[0] == {"at": "1s", "pause": "seeder-1", "for": "1s"}
    assert lab.act("start", at=3.0, nodes=("seeder-1",)).ok


def test_partition_begins_and_heals(lab: HandLab) -> None:
    cut = lab.act("partition", sides=(("tracker", "seeder-1", "seeder-2"), ("leecher-1",)), name="cable-cut")
    assert cut.text == "partition tracker, seeder | leecher-1: in force in 4 nodes (tracker, seeder, leecher-1)"
    assert cut.command == "lab.partition(['tracker', 'seeder'], ['leecher-1'])"
    item = "{at: 1s, partition: [[tracker, seeder], [leecher-1]], for: rest, name: cable-cut}"
    assert cut.yaml == f"- {item}"
    lab.fake.rooted["leecher-1"] = ExecResult(
        0, "== rules\n[5:500] -A TORRENTNET -s 198.18.0.2/32 -j DROP\n== end\n", ""
    )
    healed = lab.act("heal", at=4.0, name="cable-cut")
    assert healed.text == "end of partition tracker, seeder | leecher-1: 5 packets stopped"
    assert healed.yaml == f"- {item.replace('rest', '3s')}"
    assert lab.faults.active() == []


def test_isolate_and_impair_name_what_they_hit(lab: HandLab) -> None:
    assert lab.act("isolate", nodes=("leecher-1",)).yaml == "- {at: 1s, isolate: leecher-1, for: rest, name: clicked-1}"
    slow = lab.act("impair", nodes=("seeder-1",), qualities={"loss": "5%", "delay": "100ms"})
    assert slow.ok
    assert slow.yaml == (
        "- {at: 1s, impair: {between: [[seeder-1], [tracker, seeder-2, leecher]], loss: 5%, delay: 100ms},"
        " for: rest, name: clicked-2}"
    )
    one_way = lab.act("impair", from_=("seeder",), to=("leecher",), qualities={"rate": "1mbit"})
    assert one_way.command == "lab.impair(from_=['seeder'], to=['leecher'], rate='1mbit')"


def test_heal_without_a_name_undoes_everything_done_here(lab: HandLab) -> None:
    lab.act("isolate", nodes=("leecher-1",))
    lab.act("pause", nodes=("seeder-1",))
    answer = lab.act("heal", at=2.0)
    assert answer.ok
    assert "end of isolate leecher-1" in answer.text
    assert "seeder-1 resumed" in answer.text
    assert {item["for"] for item in lab.items()} == {"1s"}
    with pytest.raises(LabError, match="nothing that was done here is in force"):
        lab.act("heal", at=3.0)


def test_heal_of_nodes_undoes_what_concerns_them(lab: HandLab) -> None:
    lab.act("isolate", nodes=("leecher-1",))
    lab.act("impair", from_=("seeder-1",), to=("seeder-2",), qualities={"loss": "5%"})
    lab.act("pause", nodes=("seeder-1",))
    answer = lab.act("heal", at=2.0, nodes=("seeder-2",))
    assert answer.text.count("end of ") == 2
    assert "resumed" not in answer.text
    lab.act("isolate", at=3.0, nodes=("leecher-1",), name="again")
    lab.act("impair", at=3.0, from_=("seeder-1",), to=("seeder-2",), qualities={"loss": "5%"})
    assert lab.act("heal", at=4.0, name="again").text.startswith("end of isolate leecher-1")
    assert len(lab.faults.active()) == 1


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"verb": "kill", "nodes": ("nobody",)}, "there is no node and no group `nobody`"),
        ({"verb": "heal", "name": "x"}, "nothing that was done here is called `x`"),
        ({"verb": "isolate", "nodes": ("seeder-1",), "name": "mended"}, "something has the name `mended` already"),
        ({"verb": "isolate", "nodes": ("seeder-1",), "name": "a b"}, "name: "),
        ({"verb": "partition", "sides": (("seeder",), ("seeder-1",))}, "would be on both sides"),
        ({"verb": "partition", "sides": (("seeder-1",), ("seeder-2",), ("tracker",))}, "three sides"),
        ({"verb": "impair", "nodes": ("seeder-1",), "qualities": {"loss": "much"}}, "`much` is not a share"),
        ({"verb": "impair", "nodes": ("seeder-1",), "qualities": {"rate": "0mbit"}}, "`0mbit` is too slow"),
    ],
)
def test_wrong_requests_change_nothing(lab: HandLab, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        lab.act(**request_)
    assert lab.items() == []
    assert lab.touched == []
    assert lab.faults.active() == []
    # The name is free again.
    assert lab.act("isolate", nodes=("seeder-1",)).yaml.endswith("name: clicked-1}")
