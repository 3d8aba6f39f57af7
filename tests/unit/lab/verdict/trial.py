"""A lab whose nodes print and live as a test says, and expectations about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.unit.lab.fakes import EPOCH, FakeClock, FakeEngine, expectation, leecher, make_plan, seeder
from torrentnet.lab.engines.types import ExecResult, LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.facts.line_reader import LineReader
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.scenario.plan.expectations import ExpectationPlan, LogPattern
from torrentnet.lab.verdict.checks import CheckContext
from torrentnet.lab.verdict.judge import PendingExpectation
from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.lab.verdict.outcome import NodeResult

HASH = "ab" * 32
PATH = "/data/a.txt"
BAD = LogPattern(event="bad_piece", fields=(("peer", "seeder-1"),))


class FakeTimeline:
    """Answers queries about events as a test wants."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.without_effect: set[int] = set()
        self.starting: set[str] = set()

    def began_at(self, index: int) -> float | None:
        return self.times.get(index)

    def failed(self, index: int) -> bool:
        return index in self.without_effect

    def will_start(self, node: str) -> bool:
        return node in self.starting


class Trial:
    """A tracker, a seeder and a leecher, or other nodes."""

    def __init__(self, *nodes: NodePlan) -> None:
        nodes = nodes or make_plan(nodes=(seeder(), leecher())).nodes
        self.clock = FakeClock()
        self.engine = FakeEngine(*(node.name for node in nodes))
        reader = LineReader(nodes)
        reader.set_addresses({node: location.address for node, location in self.engine.locations.items()})
        self.lab_state = LabState(self.engine.states, reader=reader)
        self.timeline = FakeTimeline()
        self.context = CheckContext(
            engine=self.engine,
            lab_state=self.lab_state,
            clock=self.clock,  # type: ignore[arg-type]
            timeline=self.timeline,
            nodes={node.name: node for node in nodes},
            hashes={"a.txt": HASH},
            sizes={"a.txt": 100},
            events={0: "kill seeder-1"},
            time_limit=30.0,
        )

    def print_event(self, at: float, node: str, text: str) -> None:
        self.lab_state.add_line(LogLine(node, EPOCH + at, f"{format_timestamp(EPOCH + at)} {text}"))

    def set_status(self, node: str, status: NodeStatus, code: int | None = None) -> None:
        state = NodeState(status, code)
        self.engine.states[node] = state
        self.lab_state.add_state(StateChange(node, EPOCH + self.clock.time, state))

    def expect(self, kind: type[ExpectationPlan], node: str = "leecher-1", **more: Any) -> PendingExpectation:
        return PendingExpectation(expectation(kind, node, **more), node, self.context)

    def evaluate(self, pending: PendingExpectation, at: float) -> NodeResult | None:
        self.clock.time = at
        pending.evaluate()
        return pending.result

    def decide(self, pending: PendingExpectation, at: float) -> NodeResult:
        """Return the result, which must be known at that time."""
        result = self.evaluate(pending, at)
        assert result is not None
        return result

    def set_digest(self, digest: str) -> None:
        self.engine.answers["leecher-1", "sha256sum", "--", PATH] = ExecResult(0, f"{digest}  {PATH}\n", "")


def peers(*names: str) -> ExecResult:
    """Return what a tracker's console prints for `peers`."""
    rows = [json.dumps({"peer": name, "address": f"198.18.0.{index}:6881"}) for index, name in enumerate(names)]
    return ExecResult(0, "".join(f"{row}\n" for row in rows), "")
