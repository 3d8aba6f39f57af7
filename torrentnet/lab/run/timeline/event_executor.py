"""Execution of a timeline's events, and of their end.

Events are applied to the nodes and to the network between them, and undone.

Tested by tests/unit/lab/run/timeline/test_timeline.py and tests/unit/lab/run/timeline/test_network_faults.py.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from torrentnet.lab.engines.types import NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.run.timeline.schedule import NO_EFFECT_HINT, EventEffect, NodeOutput, UndoneEvent
from torrentnet.lab.scenario.plan.events import CommandPlan, HealPlan, NetworkFaultPlan, PausePlan, RunPlan, StartPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.timeline.network_faults import NetworkFaults
    from torrentnet.lab.scenario.plan.events import EventPlan

T = TypeVar("T")

MAX_PARALLEL_NODES: Final = 4
"""Nodes that are started, or hit by one event, at the same time: more only makes each slower."""
MAX_OUTPUT_CHARS: Final = 4096
"""Characters kept of a command's output, from its end."""
MAX_QUOTED_CHARS: Final = 160


@dataclass(slots=True)
class _ActiveEffect:
    """What a lasting event has changed, to be undone."""

    paused: set[str] = field(default_factory=set)
    override: int | None = None


class EventExecutor:
    """An executor of single events, which any thread may use.

    Methods raise EngineError where the engine fails.
    """

    def __init__(self, engine: Engine, faults: NetworkFaults | None) -> None:
        self._engine = engine
        self._faults = faults
        self._lock = threading.Lock()
        self._active: dict[int, _ActiveEffect] = {}

    # -- nodes -------------------------------------------------------------------------------------

    def start(self, nodes: Sequence[str]) -> EventEffect:
        """Start nodes that the plan starts late."""
        effect, _ = self._apply_verb(StartPlan.verb, nodes)
        return effect

    def apply(self, event: EventPlan, timeout: float) -> EventEffect:
        """Apply an event; ``timeout`` is for a command in a node, in seconds."""
        match event:
            case NetworkFaultPlan():
                return self._apply_fault(event)
            case HealPlan():
                return self._heal(event)
            case CommandPlan():
                return self._run_command(event, timeout)
        effect, hit = self._apply_verb(event.verb, event.nodes)
        with self._lock:
            if isinstance(event, PausePlan):
                if hit:
                    self._active[event.index] = _ActiveEffect(set(hit))
            else:
                # Whichever event had paused the nodes, they are not paused any more.
                for active in self._active.values():
                    active.paused.difference_update(hit)
        return effect

    def _apply_verb(self, verb: str, nodes: Sequence[str]) -> tuple[EventEffect, list[str]]:
        """Return the effect, and the nodes that have changed."""
        act: Callable[[str], None] = getattr(self._engine, verb)

        def attempt(node: str) -> LabError | None:
            try:
                act(node)
            except NothingChangedError as error:
                return error
            return None

        errors = for_each_node(attempt, nodes)
        failed = [error for error in errors if error is not None]
        hit = [node for node, error in zip(nodes, errors, strict=True) if error is None]
        return EventEffect("; ".join(error.message for error in failed), failed[0].hint if failed else ""), hit

    # -- the network -------------------------------------------------------------------------------

    def _apply_fault(self, event: NetworkFaultPlan) -> EventEffect:
        if self._faults is None:
            raise EngineError(f"{event.text}: this lab has no network that can be changed")
        try:
            result = self._faults.apply(event.override)
        except NothingChangedError as error:
            return EventEffect(error.message, error.hint)
        with self._lock:
            self._active[event.index] = _ActiveEffect(override=result.number)
        problems = "; ".join(result.problems)
        error_text = f"{event.text} is not in force everywhere: {problems}" if problems else ""
        return EventEffect(error_text, set_in=result.nodes, override=result.number)

    def mark_counters(self, effect: EventEffect) -> None:
        """Start the counters of a fault that has just been applied."""
        if self._faults is not None and effect.override is not None:
            self._faults.mark_counters(effect.override)

    # -- undo --------------------------------------------------------------------------------------

    def _heal(self, event: HealPlan) -> EventEffect:
        undone = self.undo(event.ends)
        if undone:
            return EventEffect(undone=undone)
        return EventEffect(f"{event.text} changed nothing: nothing that it ends was in force", NO_EFFECT_HINT)

    def undo(self, indices: Iterable[int]) -> tuple[UndoneEvent, ...]:
        """Undo those of these events that are in force; return what was undone."""
        with self._lock:
            found = {index: active for index in indices if (active := self._active.pop(index, None)) is not None}
        overrides = [active.override for active in found.values() if active.override is not None]
        counts = self._faults.remove(*overrides) if self._faults is not None and overrides else {}
        undone = []
        for index, active in found.items():
            resumed = tuple(node for node in sorted(active.paused) if self._resume(node))
            measured = counts.get(active.override) if active.override is not None else None
            if resumed or measured is not None:
                undone.append(UndoneEvent(index, resumed, measured, active.override))
        return tuple(undone)

    def undo_all(self) -> tuple[UndoneEvent, ...]:
        """Undo everything that is in force."""
        with self._lock:
            indices = list(self._active)
        return self.undo(indices)

    def _resume(self, node: str) -> bool:
        try:
            self._engine.resume(node)
        except NothingChangedError:
            # The node was killed, stopped or restarted meanwhile: there is nothing to undo.
            return False
        return True

    # -- commands ----------------------------------------------------------------------------------

    def _run_command(self, event: CommandPlan, timeout: float) -> EventEffect:
        def attempt(node: str) -> NodeOutput:
            try:
                answer = self._engine.exec(node, event.argv, timeout=timeout)
            except EngineError as error:
                # A node that is down, or a command that does not end, is a result; a missing engine is a failure.
                if self._engine.state(node).status is NodeStatus.GONE:
                    raise
                return NodeOutput(node, None, error.message)
            return NodeOutput(node, answer.status, _tail(answer.output))

        outputs = tuple(for_each_node(attempt, event.nodes))
        failed = [_failure_text(event, output) for output in outputs if output.status != 0]
        hint = "end a command that may fail with `|| true`" if failed and isinstance(event, RunPlan) else ""
        return EventEffect("; ".join(failed), hint, outputs=outputs)


def for_each_node(act: Callable[[str], T], nodes: Sequence[str]) -> list[T]:
    """Call a function for every node, some nodes at a time."""
    if len(nodes) == 1:
        return [act(nodes[0])]
    with ThreadPoolExecutor(MAX_PARALLEL_NODES, "node") as pool:
        return list(pool.map(act, nodes))


def _tail(text: str) -> str:
    return text if len(text) <= MAX_OUTPUT_CHARS else f"... {text[-MAX_OUTPUT_CHARS:]}"


def _failure_text(event: CommandPlan, output: NodeOutput) -> str:
    what = f"`{event.command}` in {output.node}"
    if output.status is None:
        return f"{what} could not be run: {output.text}"
    lines = output.text.strip().splitlines()
    return f"{what} ended with status {output.status}" + (f": {lines[-1][:MAX_QUOTED_CHARS]}" if lines else "")
