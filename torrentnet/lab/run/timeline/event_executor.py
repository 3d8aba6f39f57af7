"""What the events of a timeline do to the nodes and to the network between them, and how it is undone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from torrentnet.lab.engines.types import NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.run.timeline.applied_event import NodeOutput
from torrentnet.lab.run.timeline.network_faults import NoLinkChanged
from torrentnet.lab.scenario.plan import CommandPlan, HealPlan, NetworkFaultPlan, PausePlan, RunPlan, StartPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.timeline.fault_counts import FaultCounts
    from torrentnet.lab.run.timeline.network_faults import NetworkFaults
    from torrentnet.lab.scenario.plan import EventPlan

T = TypeVar("T")

MAX_PARALLEL_NODES = 4
"""Nodes that are started, or hit by one event, at the same time: more only makes each slower."""
MAX_OUTPUT_CHARS = 4096
"""Characters of what a command prints, from its end."""
MAX_QUOTED_CHARS = 160
NO_EFFECT_HINT = "a fault that hits nothing proves nothing; move the event or name another"


@dataclass(frozen=True, slots=True)
class EventEffect:
    """What came of one event."""

    error: str = ""
    hint: str = ""
    set_in: tuple[str, ...] = ()
    outputs: tuple[NodeOutput, ...] = ()
    patch: int | None = None
    """The number of the patch that it has laid."""
    ended: tuple[UndoneEvent, ...] = ()
    """What a ``heal`` has ended."""


@dataclass(frozen=True, slots=True)
class UndoneEvent:
    """A lasting event that has been undone."""

    index: int
    resumed: tuple[str, ...] = ()
    measured: FaultCounts | None = None


@dataclass(slots=True)
class _ActiveEffect:
    """What an event in force has done that can be undone."""

    paused: set[str] = field(default_factory=set)
    patch: int | None = None


class EventExecutor:
    """Applies single events, from any thread. Raises EngineError where the engine fails."""

    def __init__(self, engine: Engine, faults: NetworkFaults | None) -> None:
        self._engine = engine
        self._faults = faults
        self._lock = threading.Lock()
        self._lasting: dict[int, _ActiveEffect] = {}

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, nodes: Sequence[str]) -> EventEffect:
        """Start nodes that the plan starts late."""
        done, _ = self._verb(StartPlan.verb, nodes)
        return done

    def do(self, event: EventPlan, time_left: float) -> EventEffect:
        """Apply an event; a command in a node is given ``time_left`` seconds."""
        match event:
            case NetworkFaultPlan():
                return self._lay(event)
            case HealPlan():
                return self._heal(event)
            case CommandPlan():
                return self._commands(event, time_left)
        done, hit = self._verb(event.verb, event.nodes)
        with self._lock:
            if isinstance(event, PausePlan):
                if hit:
                    self._lasting[event.index] = _ActiveEffect(set(hit))
            else:
                # Whatever had paused it, it is not paused any more.
                for lasting in self._lasting.values():
                    lasting.paused.difference_update(hit)
        return done

    def _verb(self, verb: str, nodes: Sequence[str]) -> tuple[EventEffect, list[str]]:
        """What came of it, and the nodes that were hit."""
        act: Callable[[str], None] = getattr(self._engine, verb)

        def attempt(node: str) -> LabError | None:
            try:
                act(node)
            except NothingChangedError as error:
                return error
            return None

        answers = _for_each_node(attempt, nodes)
        failed = [answer for answer in answers if answer is not None]
        hit = [node for node, answer in zip(nodes, answers, strict=True) if answer is None]
        return EventEffect("; ".join(error.message for error in failed), failed[0].hint if failed else ""), hit

    # ── the network ──────────────────────────────────────────────────────────────────────────────────────────

    def _lay(self, event: NetworkFaultPlan) -> EventEffect:
        if self._faults is None:
            raise EngineError(f"{event.text}: this lab has no network that could be changed")
        try:
            laid = self._faults.lay(event.override)
        except NoLinkChanged as error:
            return EventEffect(error.message, error.hint)
        with self._lock:
            self._lasting[event.index] = _ActiveEffect(patch=laid.number)
        trouble = f"{event.text} is not in force everywhere: {'; '.join(laid.problems)}" if laid.problems else ""
        return EventEffect(trouble, set_in=laid.nodes, patch=laid.number)

    def count_from_here(self, done: EventEffect) -> None:
        """Note what had been counted before an event that has just been applied."""
        if self._faults is not None and done.patch is not None:
            self._faults.count_from_here(done.patch)

    # ── undoing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _heal(self, event: HealPlan) -> EventEffect:
        ended = self.undo(event.ends)
        if ended:
            return EventEffect(ended=ended)
        return EventEffect(f"{event.text} changed nothing: none of what it ends was in force", NO_EFFECT_HINT)

    def undo(self, indices: Iterable[int]) -> tuple[UndoneEvent, ...]:
        """Undo those of these events that are in force; answers with what there was to undo."""
        with self._lock:
            found = {index: lasting for index in indices if (lasting := self._lasting.pop(index, None)) is not None}
        patches = [lasting.patch for lasting in found.values() if lasting.patch is not None]
        measured = self._faults.lift(*patches) if self._faults is not None and patches else {}
        ended = []
        for index, lasting in found.items():
            resumed = tuple(node for node in sorted(lasting.paused) if self._resume(node))
            counted = measured.get(lasting.patch) if lasting.patch is not None else None
            if resumed or counted is not None:
                ended.append(UndoneEvent(index, resumed, counted))
        return tuple(ended)

    def undo_all(self) -> tuple[UndoneEvent, ...]:
        """Undo everything that is in force."""
        with self._lock:
            indices = list(self._lasting)
        return self.undo(indices)

    def _resume(self, node: str) -> bool:
        try:
            self._engine.resume(node)
        except NothingChangedError:
            # It was killed, stopped or restarted meanwhile; there is nothing to undo.
            return False
        return True

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────

    def _commands(self, event: CommandPlan, time_left: float) -> EventEffect:
        def attempt(node: str) -> NodeOutput:
            try:
                answer = self._engine.exec(node, event.argv, timeout=time_left)
            except EngineError as error:
                # A node that is down and a command that does not end are answers; an engine that is gone is none.
                if self._engine.state(node).status is NodeStatus.GONE:
                    raise
                return NodeOutput(node, None, error.message)
            return NodeOutput(node, answer.status, _tail(answer.output))

        outputs = tuple(_for_each_node(attempt, event.nodes))
        failed = [_failure_text(event, output) for output in outputs if output.status != 0]
        hint = (
            "a command that must be able to fail ends with `|| true`" if failed and isinstance(event, RunPlan) else ""
        )
        return EventEffect("; ".join(failed), hint, outputs=outputs)


def _for_each_node(act: Callable[[str], T], nodes: Sequence[str]) -> list[T]:
    """Do it to every node, a few at a time."""
    if len(nodes) == 1:
        return [act(nodes[0])]
    with ThreadPoolExecutor(MAX_PARALLEL_NODES, "node") as hands:
        return list(hands.map(act, nodes))


def _tail(text: str) -> str:
    return text if len(text) <= MAX_OUTPUT_CHARS else f"... {text[-MAX_OUTPUT_CHARS:]}"


def _failure_text(event: CommandPlan, output: NodeOutput) -> str:
    what = f"`{event.command}` in {output.node}"
    if output.status is None:
        return f"{what} could not be done: {output.text}"
    said = output.text.strip().splitlines()
    return f"{what} ended with status {output.status}" + (f": {said[-1][:MAX_QUOTED_CHARS]}" if said else "")
