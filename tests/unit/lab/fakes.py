"""An engine without nodes, a clock without time, and an executor without threads."""

from __future__ import annotations

import contextlib
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.interface import Engine
from torrentnet.lab.engines.types import (
    ExecResult,
    Finding,
    LabSpec,
    LogLine,
    NodeLocation,
    NodeState,
    NodeStatus,
    StateChange,
)
from torrentnet.lab.errors import EngineError
from torrentnet.lab.run.timeline.schedule import AppliedEvent
from torrentnet.lab.scenario.plan.expectations import Always, At, ExpectationPlan, Within
from torrentnet.lab.scenario.plan.plan import FilePlan, NodePlan, NodeProgram, Plan, Role
from torrentnet.lab.scenario.plan.program import ProgramPlan

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torrentnet.lab.engines.types import LossCallback, ProgressCallback, RemovedLab
    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.plan.expectations import Timing

EPOCH = 1_000_000.0
WAIT_TIMEOUT = 30.0
APPLIED_KILL = AppliedEvent("kill seeder-1", "kill", ("seeder-1",), 1.0, 1.004, 1.062, 0, "trial.yaml:10:5")
INEFFECTIVE_KILL = AppliedEvent(
    "kill seeder-1",
    "kill",
    ("seeder-1",),
    2.0,
    2.001,
    2.002,
    1,
    "trial.yaml:11:5",
    "kill seeder-1 changed nothing: the node is exited (137)",
    "a fault that hits nothing proves nothing",
)


def make_plan(
    *,
    nodes: tuple[NodePlan, ...] = (),
    events: tuple[EventPlan, ...] = (),
    expectations: tuple[ExpectationPlan, ...] = (),
    time_limit: float = 30.0,
) -> Plan:
    """Return a plan with a tracker and what a test adds."""
    tracker = NodePlan("tracker", "tracker", Role.TRACKER, None, 0.0)
    file = FilePlan("a.txt", 100)
    return Plan(
        "trial", "A trial.", Path("trial.yaml"), 1, time_limit, (file,), (tracker, *nodes), events, expectations
    )


def seeder(name: str = "seeder-1", start: float = 0.0) -> NodePlan:
    """Return a peer that shares."""
    return NodePlan(name, "seeder", Role.SHARE, "a.txt", start)


def leecher(name: str = "leecher-1", start: float = 0.0) -> NodePlan:
    """Return a peer that gets."""
    return NodePlan(name, "leecher", Role.GET, "a.txt", start)


def foreign(name: str, role: Role, start: float = 0.0, group: str = "") -> NodePlan:
    """Return a node whose program the scenario brings along."""
    program = ProgramPlan("mine", None, "", "example/mine:1", ((str(role), "mine"),))
    file = "a.txt" if role in {Role.SHARE, Role.GET} else None
    return NodePlan(name, group or name, role, file, start, program=NodeProgram.FOREIGN, foreign=program)


def event(index: int, at: float, kind: type[EventPlan], *nodes: str, **more: Any) -> EventPlan:
    """Return an event of the timeline."""
    text = f"{kind.verb} {', '.join(nodes)}"
    more = {"index": index, "at": at, "nodes": nodes, "text": text, "where": f"trial.yaml:{10 + index}:5", **more}
    return kind(**more)


def expectation(
    kind: type[ExpectationPlan],
    *nodes: str,
    within: float | None = None,
    at: float | None = None,
    always: float | None = None,
    after: int | None = None,
    **more: Any,
) -> ExpectationPlan:
    """Return an expectation; its timing has the language's words."""
    timing: Timing = Within(within, after)
    if always is not None:
        timing = Always(always, at or 0.0, after)
    elif at is not None:
        timing = At(at)
    more = {"index": 0, "nodes": nodes, "text": "it holds", "where": "trial.yaml:9:5", "timing": timing, **more}
    return kind(**more)


class FakeClock:
    """A clock that advances only when something waits for it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.epoch = EPOCH

    def now(self) -> float:
        """Return the seconds after t = 0."""
        return self.time

    def of(self, epoch: float) -> float:
        """Return the seconds after t = 0."""
        return epoch - self.epoch

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Advance to ``until`` at once; without it, wait for the test."""
        if until is not None:
            self.time = max(self.time, until)
        else:
            condition.wait(WAIT_TIMEOUT)


class SameThread(Executor):
    """Runs a call before it returns its future."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


OUTCOMES: Final[Mapping[str, tuple[NodeStatus, int | None]]] = {
    "start": (NodeStatus.RUNNING, None),
    "kill": (NodeStatus.EXITED, 137),
    "stop": (NodeStatus.EXITED, 0),
    "pause": (NodeStatus.PAUSED, None),
    "resume": (NodeStatus.RUNNING, None),
}
"""Verb to the node's status and exit status."""


class FakeEngine(Engine):
    """Keeps the nodes' states, and returns what a test sets."""

    name = "fake"

    def __init__(self, *running: str, created: tuple[str, ...] = ()) -> None:
        self.states = dict.fromkeys(running, NodeState(NodeStatus.RUNNING))
        self.states |= dict.fromkeys(created, NodeState(NodeStatus.CREATED))
        self.done: list[str] = []
        self.answers: dict[tuple[str, ...], ExecResult] = {}
        self.asked: list[tuple[str, ...]] = []
        self.failing: str = ""
        self.scripts: list[tuple[str, str]] = []
        """Nodes and the scripts that were run in their network."""
        self.rooted: dict[str, ExecResult] = {}
        """Results of these scripts, by node; an empty one where there is none."""
        self.lives: dict[str, str] = {}
        """Incarnation of each node; empty where there is none."""
        self.late: frozenset[str] = frozenset()
        self.scratched = 0

    def check(self) -> None: ...

    def diagnose(self) -> list[Finding]:
        return []

    def collect_orphans(self, is_finished: Callable[[Path, str], bool]) -> list[RemovedLab]:
        return []

    def prepare(self, progress: ProgressCallback) -> None: ...

    def environment(self) -> dict[str, str]:
        return {"engine": "fake"}

    def create(self, spec: LabSpec, progress: ProgressCallback) -> None: ...

    def adopt(self, project: str, *, missing_ok: bool = False) -> None: ...

    def watch(
        self,
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None: ...

    def lagging(self) -> frozenset[str]:
        return self.late

    def unwatch(self) -> None: ...

    def destroy(self) -> None: ...

    def close(self) -> None: ...

    @property
    def locations(self) -> Mapping[str, NodeLocation]:
        return {node: NodeLocation(f"198.18.0.{index}", "/files", "/data") for index, node in enumerate(self.states, 2)}

    def state(self, node: str) -> NodeState:
        return self.states[node]

    def incarnation(self, node: str) -> str:
        return self.lives.get(node, "")

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        self.asked.append((node, *argv))
        if self.states[node].status is not NodeStatus.RUNNING:
            raise EngineError(f"{node} is not running")
        if self.failing:
            raise EngineError(self.failing)
        return self.answers.get((node, *argv), ExecResult(127, "", "unknown command"))

    def fingerprint(self) -> str | None:
        return "fake 1"

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        self.scratched += 1
        yield "scratch"

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        self.scripts.append((node, stdin))
        if node != "scratch" and self.states[node].status is not NodeStatus.RUNNING:
            raise EngineError(f"{node} is not running")
        return self.rooted.get(node, ExecResult(0, "", ""))

    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        return [node, *argv]

    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
        return list(nodes)

    def console_hint(self, node: str, words: str) -> str:
        return f"look {node} {words}"

    def _do(self, verb: str, node: str, status: NodeStatus, code: int | None = None) -> None:
        if self.failing:
            raise EngineError(self.failing)
        self.done.append(f"{verb} {node}")
        self.states[node] = NodeState(status, code)

    def _control(self, verb: str, node: str) -> None:
        self._do(verb, node, *OUTCOMES[verb])
