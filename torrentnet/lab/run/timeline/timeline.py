"""The timeline: late starts, the scenario's events, and the events' ends.

Events happen at their times. Items that affect the same node are applied one after the other, in the order of the plan;
all others in parallel, so that a slow one delays none of them. Network faults are applied one after the other, in
parallel to what happens to nodes; a command in a node delays no later item. Each item is recorded with its planned time
and the times at which its application began and ended.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import EngineError
from torrentnet.lab.run.timeline.event_executor import MAX_PARALLEL_NODES, EventExecutor
from torrentnet.lab.run.timeline.schedule import (
    EXPIRE,
    NO_SOURCE_HINT,
    UNDO,
    EventEffect,
    ScheduledItem,
    record_unapplied,
    record_undo,
)
from torrentnet.lab.run.timeline.triggers import is_fulfilled
from torrentnet.lab.scenario.plan.events import (
    AfterTrigger,
    LastingPlan,
    NodeTrigger,
    PausePlan,
    RestartPlan,
    StartPlan,
)
from torrentnet.lab.scenario.plan.plan import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import StateChange
    from torrentnet.lab.run.lab_state import LabClock, LabState
    from torrentnet.lab.run.timeline.network_faults import NetworkFaults
    from torrentnet.lab.run.timeline.schedule import AppliedEvent, UndoneEvent
    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan
    from torrentnet.runtime.events import Event

MAX_PARALLEL_EVENTS: Final = 32
"""Many, because most events only wait: for a node, or for the end of a command."""
STARTING_VERBS: Final = {StartPlan.verb, RestartPlan.verb}
MIN_COMMAND_TIMEOUT: Final = 5.0
"""For a command in a node, however little time is left in the run."""


class Timeline:
    """The application of a plan's events to an engine's nodes.

    ``on_begun`` is called before an item has any effect, with its time after t = 0, and ``on_applied`` when it is done;
    both on the worker's thread. Triggers are checked against ``lab_state``. It and ``faults`` may be omitted where no
    event needs them.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        clock: LabClock,
        on_applied: Callable[[AppliedEvent], None],
        *,
        on_begun: Callable[[ScheduledItem, float], None] = lambda item, began: None,
        lab_state: LabState | None = None,
        faults: NetworkFaults | None = None,
        executors: tuple[Executor, Executor] | None = None,
    ) -> None:
        self._plan = plan
        self._executor = EventExecutor(engine, faults)
        self._clock = clock
        self._on_applied = on_applied
        self._on_begun = on_begun
        self._lab_state = lab_state
        self._roles = {node.name: node.role for node in plan.nodes}
        self._lock = threading.Condition()
        self._order = itertools.count()
        self._items = [
            ScheduledItem(node.start, next(self._order), StartPlan.verb, (node.name,), f"start {node.name}")
            for node in plan.nodes
            if starts_late(node)
        ]
        self._items += [self._event_item(event, event.at) for event in plan.events if event.when is None]
        self._untriggered = {event.index: event for event in plan.events if event.when is not None}
        """Events whose trigger has not fired yet."""
        self._items += [
            ScheduledItem(event.until, next(self._order), EXPIRE, (), event.text, event)
            for event in self._untriggered.values()
            if isinstance(event, LastingPlan) and event.until is not None
        ]
        heapq.heapify(self._items)
        self._last_in_lane: dict[str, Future[None]] = {}
        self._running: dict[Future[None], ScheduledItem] = {}
        self._chosen: dict[int, EventPlan] = {}
        """Events that hit a node's source, with the node that was it."""
        self._applied: list[AppliedEvent] = []
        self._stopping = False
        self._unapplied: list[tuple[EventPlan, str]] = []
        """The events that :meth:`stop` has prevented, and why they had not happened before."""
        self._engine_error: EngineError | None = None
        self._own_executors = executors is None
        self._starts, self._events = executors or (
            ThreadPoolExecutor(MAX_PARALLEL_NODES, "start"),
            ThreadPoolExecutor(MAX_PARALLEL_EVENTS, "event"),
        )
        self._thread = threading.Thread(target=self._run, name="timeline", daemon=True)

    def _event_item(self, event: EventPlan, at: float) -> ScheduledItem:
        return ScheduledItem(at, next(self._order), event.verb, event.nodes, event.text, event)

    # -- control and queries -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to apply items."""
        if self._lab_state is not None and self._untriggered:
            self._lab_state.subscribe(self.check_triggers)
            self.check_triggers()
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether all items are applied, and everything that has an end is undone."""
        with self._lock:
            return not self._items and not self._running and not self._untriggered

    @property
    def engine_error(self) -> EngineError | None:
        """The failure of the engine; None where there was none.

        After a failure nothing can be judged.
        """
        with self._lock:
            return self._engine_error

    @property
    def applied(self) -> list[AppliedEvent]:
        """The records so far, in the order in which the items began."""
        with self._lock:
            return sorted(self._applied, key=lambda applied: applied.began)

    def began_at(self, index: int) -> float | None:
        """Return the time at which the application of an event began.

        None before that, or when it failed.
        """
        with self._lock:
            found = (one.began for one in self._applied if one.index == index and not one.error)
            return next(found, None)

    def failed(self, index: int) -> bool:
        """Return whether an event was applied without effect."""
        with self._lock:
            return any(one.index == index and one.error for one in self._applied)

    def will_start(self, node: str) -> bool:
        """Return whether an item that starts the node is still to come."""
        with self._lock:
            pending: Iterable[ScheduledItem] = itertools.chain(self._items, self._running.values())
            if any(node in item.nodes and item.verb in STARTING_VERBS for item in pending):
                return True
            return any(node in event.nodes and event.verb in STARTING_VERBS for event in self._untriggered.values())

    def stop(self) -> None:
        """Apply no more items. Returns when those in progress have been applied."""
        with self._lock:
            if not self._stopping:
                self._stopping = True
                self._unapplied = [(event, "did not become true") for event in self._untriggered.values()]
                self._unapplied += [
                    (item.event, "became true, but the run ended before its time")
                    for item in self._items
                    if item.event is not None and item.verb not in {UNDO, EXPIRE}
                ]
            self._items.clear()
            self._untriggered.clear()
            running = list(self._running)
            self._lock.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        wait(running)
        if self._own_executors:
            self._starts.shutdown(cancel_futures=True)
            self._events.shutdown(cancel_futures=True)

    def undo_all(self) -> None:
        """Undo every lasting event that is still in force."""
        now = self._clock.now()
        for undone in self._executor.undo_all():
            ended = self._record_undo(self._event(undone.index), undone, now, now)
            if undone.measured is not None:
                self._record(ended)

    def record_unapplied(self) -> None:
        """Record the events that did not happen in the run: they changed nothing."""
        unapplied, self._unapplied = self._unapplied, []
        now = self._clock.now()
        for event, reason in unapplied:
            self._record(record_unapplied(event, reason, now))

    # -- triggers ----------------------------------------------------------------------------------

    def check_triggers(self, news: Event | StateChange | None = None) -> None:
        """Fire the triggers whose condition is fulfilled.

        ``news`` limits the check to those of its node.
        """
        lab_state = self._lab_state
        with self._lock:
            if self._stopping or lab_state is None:
                return
            for event in list(self._untriggered.values()):
                when = event.when
                concerned = news is None or (isinstance(when, NodeTrigger) and news.node in when.nodes)
                if isinstance(when, NodeTrigger) and concerned and is_fulfilled(when, lab_state, self._roles):
                    self._fire(event, self._clock.now())

    def _fire(self, event: EventPlan, moment: float) -> None:
        """Schedule an event whose trigger became true at that moment.

        The caller has the lock.
        """
        if self._untriggered.pop(event.index, None) is None or event.when is None:
            return
        self._items = [item for item in self._items if not (item.verb == EXPIRE and item.event is event)]
        self._items.append(self._event_item(event, moment + event.when.delay))
        heapq.heapify(self._items)
        self._lock.notify_all()

    def _fire_after(self, result: AppliedEvent) -> None:
        """Schedule the events that wait for an event that was applied.

        Where that event failed, record that they cannot happen.
        """
        if result.index is None:
            return
        with self._lock:
            following = [
                event
                for event in self._untriggered.values()
                if isinstance(event.when, AfterTrigger) and event.when.event == result.index
            ]
            for event in following:
                if result.error:
                    del self._untriggered[event.index]
                else:
                    self._fire(event, result.began)
        if result.error:
            for event in following:
                reason = f"cannot become true, because `{result.text}` failed"
                self._record(record_unapplied(event, reason, result.began))

    # -- threads -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._stopping and not (self._items and self._items[0].at <= self._clock.now()):
                    if not self._items and not self._running and not self._untriggered:
                        return
                    self._clock.wait(self._lock, self._items[0].at if self._items else None)
                if self._stopping:
                    return
                item = heapq.heappop(self._items)
                predecessors, done = self._enter_lanes(item)
            executor = self._events if item.event else self._starts
            executor.submit(self._process, item, predecessors, done)

    def _enter_lanes(self, item: ScheduledItem) -> tuple[list[Future[None]], Future[None]]:
        """Return what an item has to wait for, and a future for its own end.

        The caller has the lock.
        """
        waits, holds = item.lanes()
        predecessors = [self._last_in_lane[lane] for lane in waits if lane in self._last_in_lane]
        done: Future[None] = Future()
        self._running[done] = item
        self._last_in_lane.update(dict.fromkeys(holds, done))
        return predecessors, done

    def _process(self, item: ScheduledItem, predecessors: list[Future[None]], done: Future[None]) -> None:
        try:
            wait(predecessors)
            self._apply(item)
        except Exception as error:  # an item that is lost with its thread would be a failed expectation later
            failure = error if isinstance(error, EngineError) else EngineError(f"`{item.text}` failed: {error!r}")
            with self._lock:
                self._engine_error = self._engine_error or failure
        finally:
            with self._lock:
                del self._running[done]
                self._lock.notify_all()
            done.set_result(None)

    def _apply(self, item: ScheduledItem) -> None:
        began = self._clock.now()
        event = item.event
        if event is None:
            self._on_begun(item, began)
            self._record(item.record(self._executor.start(item.nodes), began, self._clock.now()))
        elif item.verb == EXPIRE:
            with self._lock:
                expired = self._untriggered.pop(event.index, None) is not None
            if expired:
                self._record(record_unapplied(event, "was not true before the event's end", began))
        elif item.verb == UNDO:
            self._on_begun(item, began)
            for undone in self._executor.undo([event.index]):
                self._record(self._record_undo(event, undone, item.at, began, announced=True))
        elif isinstance(event, LastingPlan) and event.until is not None and began >= event.until:
            self._record(record_unapplied(event, "became true only after the event's end", began))
        elif event.source_of:
            self._apply_to_source(item, event, began)
        else:
            self._on_begun(item, began)
            self._apply_event(item, event, began)

    def _apply_to_source(self, item: ScheduledItem, event: EventPlan, began: float) -> None:
        """Apply an event to the node from which another one downloads at this moment."""
        source = self._lab_state.source(event.source_of, event.nodes) if self._lab_state is not None else ""
        if not source:
            self._on_begun(item, began)
            text = f"{event.text} changed nothing: no source of {event.source_of} is known"
            self._record(item.record(EventEffect(text, NO_SOURCE_HINT), began, self._clock.now()))
            return
        chosen = event.choices[event.nodes.index(source)]
        with self._lock:
            self._chosen[event.index] = chosen
        item = replace(item, nodes=chosen.nodes, text=f"{event.text} ({source})", event=chosen)
        self._on_begun(item, began)
        self._apply_event(item, chosen, began)

    def _event(self, index: int) -> EventPlan:
        """Return an event, with the nodes that it has affected."""
        with self._lock:
            return self._chosen.get(index, self._plan.events[index])

    def _apply_event(self, item: ScheduledItem, event: EventPlan, began: float) -> None:
        effect = self._executor.apply(event, max(MIN_COMMAND_TIMEOUT, self._plan.time_limit - began))
        result = item.record(effect, began, self._clock.now())
        end = event.end(began) if isinstance(event, LastingPlan) else None
        if end is not None and (effect.override is not None or isinstance(event, PausePlan)):
            with self._lock:
                if not self._stopping:
                    undo = ScheduledItem(end, next(self._order), UNDO, event.nodes, event.text, event)
                    heapq.heappush(self._items, undo)
                    self._lock.notify_all()
        self._record(result)
        for undone in effect.undone:
            self._record(self._record_undo(self._event(undone.index), undone, item.at, began))
        self._executor.mark_counters(effect)

    def _record_undo(
        self, event: EventPlan, undone: UndoneEvent, planned: float, began: float, *, announced: bool = False
    ) -> AppliedEvent:
        """Return the record of the end of an event.

        The event's own record gets its end and its counts, too.
        """
        now = self._clock.now()
        with self._lock:
            self._applied = [
                replace(one, measured=undone.measured or one.measured, ended=now) if one.index == undone.index else one
                for one in self._applied
            ]
        return record_undo(event, undone, planned, began, now, announced=announced)

    def _record(self, result: AppliedEvent) -> None:
        with self._lock:
            self._applied.append(result)
        self._on_applied(result)
        self._fire_after(result)


def starts_late(node: NodePlan) -> bool:
    """Return whether the timeline starts a node.

    The tracker and the initial seeds are up at t = 0.
    """
    return node.role is Role.GET or node.start > 0
