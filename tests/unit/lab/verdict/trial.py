"""Nodes of which a test says what they print and how they live, and questions about them."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.lab.fakes import EPOCH, FakeClock, FakeEngine, expectation, leecher, make_plan, seeder
from torrentnet.lab.engines.types import ExecResult, LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.scenario.plan import ExpectationPlan, LogPattern
from torrentnet.lab.verdict.check import CheckContext
from torrentnet.lab.verdict.expectation import NodeResult, PendingExpectation
from torrentnet.runtime.events import format_timestamp

HASH = "ab" * 32
PATH = "/data/a.txt"
BAD = LogPattern(event="bad_piece", fields=(("peer", "seeder-1"),))


class FakeTimeline:
    """Says of events what a test wants."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.failed: set[int] = set()
        self.reviving: set[str] = set()

    def began(self, index: int) -> float | None:
        return self.times.get(index)

    def never(self, index: int) -> bool:
        return index in self.failed

    def revives(self, node: str) -> bool:
        return node in self.reviving


class Trial:
    """A tracker, a seeder and a leecher, of which a test says what they print and how they live."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.engine = FakeEngine("tracker", "seeder-1", "leecher-1")
        self.board = LabState(self.engine.states)
        self.timeline = FakeTimeline()
        plan = make_plan(nodes=(seeder(), leecher()))
        self.stage = CheckContext(
            engine=self.engine,
            board=self.board,
            clock=self.clock,  # type: ignore[arg-type]
            timeline=self.timeline,
            nodes={node.name: node for node in plan.nodes},
            hashes={"a.txt": HASH},
            events={0: "kill seeder-1"},
            time_limit=30.0,
        )

    def say(self, at: float, node: str, text: str) -> None:
        self.board.take_line(LogLine(node, EPOCH + at, f"{format_timestamp(EPOCH + at)} {text}"))

    def live(self, node: str, status: NodeStatus, code: int | None = None) -> None:
        state = NodeState(status, code)
        self.engine.states[node] = state
        self.board.take_state(StateChange(node, EPOCH + self.clock.time, state))

    def question(self, kind: type[ExpectationPlan], node: str = "leecher-1", **more: Any) -> PendingExpectation:
        return PendingExpectation(expectation(kind, node, **more), node, self.stage)

    def ask(self, question: PendingExpectation, at: float) -> NodeResult | None:
        self.clock.time = at
        question.ask()
        return question.answer

    def answer(self, question: PendingExpectation, at: float) -> NodeResult:
        """What it is answered, which is known at that time."""
        answer = self.ask(question, at)
        assert answer is not None
        return answer

    def file_is(self, digest: str) -> None:
        self.engine.answers["leecher-1", "sha256sum", "--", PATH] = ExecResult(0, f"{digest}  {PATH}\n", "")


def peers(*names: str) -> ExecResult:
    """What a tracker's console answers when it is asked for its peers."""
    rows = [json.dumps({"peer": name, "address": f"198.18.0.{index}:6881"}) for index, name in enumerate(names)]
    return ExecResult(0, "".join(f"{row}\n" for row in rows), "")
