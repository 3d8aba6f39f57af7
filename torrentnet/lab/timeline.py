"""Everything that happens to the nodes at a planned time: late starts, the scenario's events, and their undoing.

Items that meet the same node happen one after the other, in the order of the plan; items that do not, happen side by
side, so that a slow one does not make the others late. Each is recorded with the time that was planned and the times at
which it began and had been applied.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.engines.base import NothingChanged
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.plan import Role, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.lab.clock import Clock
    from torrentnet.lab.engines.base import Engine
    from torrentnet.lab.plan import EventPlan, NodePlan, Plan

PARALLEL = 4
"""Nodes that are started, or hit by one event, at the same time: more only makes each slower."""
EVENTS_PARALLEL = 8
RESUME = "resume"
REVIVING = {Verb.START, Verb.RESTART}


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one item of the timeline. Times are seconds after t = 0."""

    text: str
    """As the scenario says it; ``resume seeder-2`` for an undoing."""
    verb: str
    nodes: tuple[str, ...]
    planned: float
    began: float
    applied: float
    index: int | None = None
    """Of the scenario's event; None for a start that the plan has, and for an undoing."""
    where: str = ""
    error: str = ""
    """Why it changed nothing, or why the engine could not do it."""
    hint: str = ""


@dataclass(frozen=True, slots=True, order=True)
class _Item:
    at: float
    order: int
    verb: str = field(compare=False)
    nodes: tuple[str, ...] = field(compare=False)
    text: str = field(compare=False)
    event: EventPlan | None = field(compare=False, default=None)


class Timeline:
    """Applies a plan to an engine's nodes. ``on_applied`` is called on the worker's thread."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        clock: Clock,
        on_applied: Callable[[Applied], None],
        *,
        executors: tuple[Executor, Executor] | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._on_applied = on_applied
        self._lock = threading.Condition()
        self._order = itertools.count()
        self._items = [self._start_item(node) for node in plan.nodes if is_late(node)]
        self._items += [
            _Item(event.at, next(self._order), str(event.verb), event.nodes, event.text, event) for event in plan.events
        ]
        heapq.heapify(self._items)
        self._last: dict[str, Future[None]] = {}
        self._running: dict[Future[None], _Item] = {}
        self._paused: set[str] = set()
        self._applied: list[Applied] = []
        self._stopping = False
        self._broken: EngineError | None = None
        self._own_executors = executors is None
        self._starts, self._events = executors or (
            ThreadPoolExecutor(PARALLEL, "start"),
            ThreadPoolExecutor(EVENTS_PARALLEL, "event"),
        )
        self._thread = threading.Thread(target=self._run, name="timeline", daemon=True)

    def _start_item(self, node: NodePlan) -> _Item:
        return _Item(node.start, next(self._order), str(Verb.START), (node.name,), f"start {node.name}")

    # ── for who waits ────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Let time run."""
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether everything has happened, undoings included."""
        with self._lock:
            return not self._items and not self._running

    @property
    def broken(self) -> EngineError | None:
        """The engine's failure, if it had one: nothing can be judged any more."""
        with self._lock:
            return self._broken

    @property
    def applied(self) -> list[Applied]:
        """What has happened so far, in the order in which it began."""
        with self._lock:
            return sorted(self._applied, key=lambda applied: applied.began)

    def began(self, index: int) -> float | None:
        """When a scenario's event began to be applied; None before that, or when it failed."""
        with self._lock:
            found = (one.began for one in self._applied if one.index == index and not one.error)
            return next(found, None)

    def never(self, index: int) -> bool:
        """Whether that event was tried and failed."""
        with self._lock:
            return any(one.index == index and one.error for one in self._applied)

    def revives(self, node: str) -> bool:
        """Whether something is still to come that starts the node."""
        with self._lock:
            pending: Iterable[_Item] = itertools.chain(self._items, self._running.values())
            return any(node in item.nodes and item.verb in REVIVING for item in pending)

    def stop(self) -> None:
        """End it early and undo what lasts. Returns when nothing happens any more."""
        with self._lock:
            self._stopping = True
            self._items.clear()
            running = list(self._running)
            self._lock.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        wait(running)
        if self._own_executors:
            self._starts.shutdown(cancel_futures=True)
            self._events.shutdown(cancel_futures=True)

    def heal(self) -> None:
        """Resume what an event has paused and time did not come to resume."""
        with self._lock:
            nodes, self._paused = sorted(self._paused), set()
        for node in nodes:
            self._resume(node)

    def _resume(self, node: str) -> bool:
        try:
            self._engine.resume(node)
        except NothingChanged:
            # It was killed, stopped or restarted meanwhile; there is nothing to undo.
            return False
        return True

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._stopping and not (self._items and self._items[0].at <= self._clock.now()):
                    if not self._items and not self._running:
                        return
                    self._clock.wait(self._lock, self._items[0].at if self._items else None)
                if self._stopping:
                    return
                item = heapq.heappop(self._items)
            self._submit(item)

    def _submit(self, item: _Item) -> None:
        before = [self._last[node] for node in item.nodes if node in self._last]
        done: Future[None] = Future()
        with self._lock:
            self._running[done] = item
            self._last.update(dict.fromkeys(item.nodes, done))
        executor = self._events if item.event or item.verb == RESUME else self._starts
        executor.submit(self._do, item, before, done)

    def _do(self, item: _Item, before: list[Future[None]], done: Future[None]) -> None:
        try:
            wait(before)
            result = self._apply(item)
            if result is not None:
                with self._lock:
                    self._applied.append(result)
                self._on_applied(result)
        except EngineError as error:
            with self._lock:
                self._broken = self._broken or error
        finally:
            with self._lock:
                del self._running[done]
                self._lock.notify_all()
            done.set_result(None)

    def _apply(self, item: _Item) -> Applied | None:
        began = self._clock.now()
        if item.verb == RESUME:
            return self._undo(item, began)
        verb = getattr(self._engine, item.verb)
        failed = self._each(item.nodes, verb)
        event = item.event
        if event is not None and event.verb is Verb.PAUSE:
            paused = [node for node in item.nodes if node not in failed]
            with self._lock:
                self._paused.update(paused)
            if event.lasts is not None and paused:
                self._plan_resume(began + event.lasts, tuple(paused))
        first = next(iter(failed.values()), None)
        return Applied(
            text=item.text,
            verb=item.verb,
            nodes=item.nodes,
            planned=item.at,
            began=began,
            applied=self._clock.now(),
            index=event.index if event else None,
            where=event.where if event else "",
            error="; ".join(error.message for error in failed.values()),
            hint=first.hint if first else "",
        )

    def _each(self, nodes: tuple[str, ...], verb: Callable[[str], None]) -> dict[str, LabError]:
        """Do it to every node; what changed nothing, by node. Raises EngineError where the engine failed."""

        def attempt(node: str) -> LabError | None:
            try:
                verb(node)
            except NothingChanged as error:
                return error
            return None

        if len(nodes) == 1:
            answers = [attempt(nodes[0])]
        else:
            with ThreadPoolExecutor(PARALLEL, "node") as hands:
                answers = list(hands.map(attempt, nodes))
        return {node: answer for node, answer in zip(nodes, answers, strict=True) if answer is not None}

    def _plan_resume(self, at: float, nodes: tuple[str, ...]) -> None:
        with self._lock:
            if not self._stopping:
                heapq.heappush(self._items, _Item(at, next(self._order), RESUME, nodes, f"resume {', '.join(nodes)}"))
                self._lock.notify_all()

    def _undo(self, item: _Item, began: float) -> Applied | None:
        with self._lock:
            nodes = [node for node in item.nodes if node in self._paused]
            self._paused.difference_update(nodes)
        resumed = tuple(node for node in nodes if self._resume(node))
        if not resumed:
            return None
        return Applied(f"resume {', '.join(resumed)}", RESUME, resumed, item.at, began, self._clock.now())


def is_late(node: NodePlan) -> bool:
    """Whether a node is started by the timeline; the tracker and the first seeds are up at t = 0 already."""
    return node.role is Role.GET or node.start > 0
