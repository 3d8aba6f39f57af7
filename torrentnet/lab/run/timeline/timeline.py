"""Everything that happens to the nodes: late starts, the scenario's events at their time, and their undoing.

Items that meet the same node happen one after the other, in the order of the plan; items that do not, happen side by
side, so that a slow one does not make the others late. Changes of the network happen one after the other, beside what
happens to nodes; a command in a node keeps nothing waiting that comes later.
Each item is recorded with the time that was planned and the times at which it began and had been applied.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EngineError
from torrentnet.lab.run.timeline.event_executor import MAX_PARALLEL_NODES, EventExecutor
from torrentnet.lab.run.timeline.schedule import EXPIRE, UNDO, ScheduledItem, record_unapplied, record_undo
from torrentnet.lab.run.timeline.triggers import is_fulfilled
from torrentnet.lab.scenario.plan import AfterTrigger, LastingPlan, NodeTrigger, PausePlan, RestartPlan, Role, StartPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import StateChange
    from torrentnet.lab.run.clock import LabClock
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.run.timeline.applied_event import AppliedEvent
    from torrentnet.lab.run.timeline.event_executor import UndoneEvent
    from torrentnet.lab.run.timeline.network_faults import NetworkFaults
    from torrentnet.lab.scenario.plan import EventPlan, NodePlan, Plan
    from torrentnet.runtime.events import Event

MAX_PARALLEL_EVENTS = 32
"""Most of them wait: for the node, for a command to end."""
STARTING_VERBS = {StartPlan.verb, RestartPlan.verb}
MIN_COMMAND_TIMEOUT = 5.0
"""For a command in a node, however little time the run has left."""


class Timeline:
    """Applies a plan to an engine's nodes. ``on_applied`` is called on the worker's thread."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        clock: LabClock,
        on_applied: Callable[[AppliedEvent], None],
        *,
        board: LabState | None = None,
        faults: NetworkFaults | None = None,
        executors: tuple[Executor, Executor] | None = None,
    ) -> None:
        """``board``: what ``when`` looks at. ``faults``: the network. Both are left out where no event needs them."""
        self._plan = plan
        self._acts = EventExecutor(engine, faults)
        self._clock = clock
        self._on_applied = on_applied
        self._board = board
        self._roles = {node.name: node.role for node in plan.nodes}
        self._lock = threading.Condition()
        self._order = itertools.count()
        self._items = [self._start_item(node) for node in plan.nodes if starts_late(node)]
        self._items += [self._item(event, event.at) for event in plan.events if event.when is None]
        self._waiting = {event.index: event for event in plan.events if event.when is not None}
        """Events whose time is not known yet."""
        self._items += [
            ScheduledItem(event.until, next(self._order), EXPIRE, (), event.text, event)
            for event in self._waiting.values()
            if isinstance(event, LastingPlan) and event.until is not None
        ]
        heapq.heapify(self._items)
        self._last: dict[str, Future[None]] = {}
        self._running: dict[Future[None], ScheduledItem] = {}
        self._applied: list[AppliedEvent] = []
        self._stopping = False
        self._left: list[tuple[EventPlan, str]] = []
        """The events that :meth:`stop` has kept from happening, and why they had not happened before."""
        self._broken: EngineError | None = None
        self._own_executors = executors is None
        self._starts, self._events = executors or (
            ThreadPoolExecutor(MAX_PARALLEL_NODES, "start"),
            ThreadPoolExecutor(MAX_PARALLEL_EVENTS, "event"),
        )
        self._thread = threading.Thread(target=self._run, name="timeline", daemon=True)

    def _start_item(self, node: NodePlan) -> ScheduledItem:
        return ScheduledItem(node.start, next(self._order), StartPlan.verb, (node.name,), f"start {node.name}")

    def _item(self, event: EventPlan, at: float) -> ScheduledItem:
        return ScheduledItem(at, next(self._order), event.verb, event.nodes, event.text, event)

    # ── for who waits ────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Let time run."""
        if self._board is not None and self._waiting:
            self._board.listen(self.look)
            self.look()
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether everything has happened, undoings included."""
        with self._lock:
            return not self._items and not self._running and not self._waiting

    @property
    def broken(self) -> EngineError | None:
        """The engine's failure, if it had one: nothing can be judged any more."""
        with self._lock:
            return self._broken

    @property
    def applied(self) -> list[AppliedEvent]:
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
            pending: Iterable[ScheduledItem] = itertools.chain(self._items, self._running.values())
            if any(node in item.nodes and item.verb in STARTING_VERBS for item in pending):
                return True
            return any(node in event.nodes and event.verb in STARTING_VERBS for event in self._waiting.values())

    def stop(self) -> None:
        """End it early. Returns when nothing happens any more."""
        with self._lock:
            if not self._stopping:
                self._stopping = True
                self._left = [(event, "has not come true") for event in self._waiting.values()]
                self._left += [
                    (item.event, "has come true, but the run was over before its time")
                    for item in self._items
                    if item.event is not None and item.verb not in {UNDO, EXPIRE}
                ]
            self._items.clear()
            self._waiting.clear()
            running = list(self._running)
            self._lock.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        wait(running)
        if self._own_executors:
            self._starts.shutdown(cancel_futures=True)
            self._events.shutdown(cancel_futures=True)

    def heal(self) -> None:
        """Undo what lasts and time did not come to undo."""
        now = self._clock.now()
        for ended in self._acts.undo_all():
            event = self._plan.events[ended.index]
            if ended.measured is not None:
                self._note(self._end_of(event, ended, now, now))

    def conclude(self) -> None:
        """The run is over: an event that has not happened by now has changed nothing."""
        left, self._left = self._left, []
        now = self._clock.now()
        for event, why in left:
            self._note(record_unapplied(event, why, now))

    # ── when ─────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, news: Event | StateChange | None = None) -> None:
        """Something is known now that was not: whether an event waits for it."""
        board = self._board
        with self._lock:
            if self._stopping or board is None:
                return
            for event in list(self._waiting.values()):
                when = event.when
                concerned = news is None or (isinstance(when, NodeTrigger) and news.node in when.nodes)
                if isinstance(when, NodeTrigger) and concerned and is_fulfilled(when, board, self._roles):
                    self._fire(event, self._clock.now())

    def _fire(self, event: EventPlan, moment: float) -> None:
        """What it waits for has come true then. The caller has the lock."""
        if self._waiting.pop(event.index, None) is None or event.when is None:
            return
        self._items = [item for item in self._items if not (item.verb == EXPIRE and item.event is event)]
        self._items.append(self._item(event, moment + event.when.delay))
        heapq.heapify(self._items)
        self._lock.notify_all()

    def _after(self, result: AppliedEvent) -> None:
        """An event has been applied, or has changed nothing: those that wait for it come, or never will."""
        if result.index is None:
            return
        with self._lock:
            following = [
                event
                for event in self._waiting.values()
                if isinstance(event.when, AfterTrigger) and event.when.event == result.index
            ]
            for event in following:
                if result.error:
                    del self._waiting[event.index]
                else:
                    self._fire(event, result.began)
        if result.error:
            for event in following:
                self._note(record_unapplied(event, f"cannot come true, since `{result.text}` failed", result.began))

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._stopping and not (self._items and self._items[0].at <= self._clock.now()):
                    if not self._items and not self._running and not self._waiting:
                        return
                    self._clock.wait(self._lock, self._items[0].at if self._items else None)
                if self._stopping:
                    return
                item = heapq.heappop(self._items)
                done = self._enter(item)
            self._submit(item, *done)

    def _enter(self, item: ScheduledItem) -> tuple[list[Future[None]], Future[None]]:
        """Put it into its lanes; answers with what it waits for, and its own end. The caller has the lock."""
        waits, holds = item.lanes()
        before = [self._last[lane] for lane in waits if lane in self._last]
        done: Future[None] = Future()
        self._running[done] = item
        self._last.update(dict.fromkeys(holds, done))
        return before, done

    def _submit(self, item: ScheduledItem, before: list[Future[None]], done: Future[None]) -> None:
        executor = self._events if item.event else self._starts
        executor.submit(self._do, item, before, done)

    def _do(self, item: ScheduledItem, before: list[Future[None]], done: Future[None]) -> None:
        try:
            wait(before)
            self._apply(item)
        except EngineError as error:
            with self._lock:
                self._broken = self._broken or error
        finally:
            with self._lock:
                del self._running[done]
                self._lock.notify_all()
            done.set_result(None)

    def _apply(self, item: ScheduledItem) -> None:
        began = self._clock.now()
        event = item.event
        if event is None:
            self._note(item.record(self._acts.start(item.nodes), began, self._clock.now()))
        elif item.verb == EXPIRE:
            with self._lock:
                late = self._waiting.pop(event.index, None) is not None
            if late:
                self._note(record_unapplied(event, "had not come true when it would have been undone", began))
        elif item.verb == UNDO:
            for ended in self._acts.undo([event.index]):
                self._note(self._end_of(event, ended, item.at, began))
        elif isinstance(event, LastingPlan) and event.until is not None and began >= event.until:
            self._note(record_unapplied(event, "has come true when it would have been undone already", began))
        else:
            self._happen(item, event, began)

    def _happen(self, item: ScheduledItem, event: EventPlan, began: float) -> None:
        done = self._acts.do(event, max(MIN_COMMAND_TIMEOUT, self._plan.time_limit - began))
        result = item.record(done, began, self._clock.now())
        end = event.end(began) if isinstance(event, LastingPlan) else None
        if end is not None and (done.patch is not None or isinstance(event, PausePlan)):
            self._plan_undo(event, end)
        self._note(result)
        for ended in done.ended:
            self._note(self._end_of(self._plan.events[ended.index], ended, item.at, began))
        self._acts.count_from_here(done)

    def _plan_undo(self, event: EventPlan, at: float) -> None:
        with self._lock:
            if not self._stopping:
                heapq.heappush(self._items, ScheduledItem(at, next(self._order), UNDO, event.nodes, event.text, event))
                self._lock.notify_all()

    def _end_of(self, event: EventPlan, ended: UndoneEvent, planned: float, began: float) -> AppliedEvent:
        """The record of an undoing; what was measured is also the event's own."""
        if ended.measured is not None:
            with self._lock:
                self._applied = [
                    replace(one, measured=ended.measured) if one.index == ended.index else one for one in self._applied
                ]
        return record_undo(event, ended, planned, began, self._clock.now())

    def _note(self, result: AppliedEvent) -> None:
        with self._lock:
            self._applied.append(result)
        self._on_applied(result)
        self._after(result)


def starts_late(node: NodePlan) -> bool:
    """Whether a node is started by the timeline; the tracker and the first seeds are up at t = 0 already."""
    return node.role is Role.GET or node.start > 0
