"""The current state of every node, waits for its changes, and the lab's clock.

The engine reports lines and state changes on many threads. Memory is bounded: kept are a node's newest events of each
name, its last progress report, and its last few lines.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.errors import NotJudgedError
from torrentnet.lab.run.facts.line_counter import LineCount, LineCounter
from torrentnet.lab.run.facts.line_reader import LineReader
from torrentnet.lab.run.facts.pair_table import PairTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from torrentnet.lab.engines.steady import SteadyClock
    from torrentnet.lab.run.facts.line_reader import ReadLine
    from torrentnet.lab.scenario.plan.expectations import LogPattern
    from torrentnet.runtime.events import Event

MAX_EVENTS: Final = 1024
"""Events kept of each node and name."""
UNKEPT: Final = frozenset({"progress", "pair"})
"""Events that say how things are now: the last one counts."""
MAX_EXITS: Final = 256
"""Exits kept of each node."""
MAX_LAST_LINES: Final = 20
"""Lines kept of each node, for the report of a failure."""


@dataclass(slots=True)
class NodeSnapshot:
    """What is known of one node."""

    state: NodeState = field(default_factory=lambda: NodeState(NodeStatus.CREATED))
    doing: str = ""
    """The peer's own state: ``get`` or ``seed``."""
    have: int = 0
    """Pieces that the node has."""
    pieces: int = 0
    """Pieces of the file; 0 as long as the node has not reported it."""
    source: str = ""
    """The node that it downloads from, or downloaded from last; the peer's own name where no node has its address."""
    starts: int = 0
    """How often the node's program has been started."""


class LabState:
    """Everything that is known of all nodes. Thread-safe.

    ``record`` is called for every line; ``reader`` says what a line means.
    """

    def __init__(
        self,
        nodes: Iterable[str],
        record: Callable[[ReadLine], None] | None = None,
        reader: LineReader | None = None,
    ) -> None:
        self._changed = threading.Condition()
        self._nodes = {node: NodeSnapshot() for node in nodes}
        self._lines: dict[str, deque[str]] = {node: deque(maxlen=MAX_LAST_LINES) for node in self._nodes}
        self._events: dict[tuple[str, str], deque[Event]] = {}
        self._exits: dict[str, deque[StateChange]] = {node: deque(maxlen=MAX_EXITS) for node in self._nodes}
        self._counters: dict[str, dict[LogPattern, LineCounter]] = {node: {} for node in self._nodes}
        self._record = record
        self._reader = reader or LineReader()
        self._pairs = PairTable(self._reader.name_of)
        self._subscribers: list[Callable[[Event | StateChange], None]] = []
        self._version = 0
        self._lost = ""
        self._lost_of: dict[str, str] = {}

    # -- input -------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Callable[[Event | StateChange], None]) -> None:
        """Call ``subscriber`` for every event and state change.

        It is called on the thread that reports the event or change.
        """
        self._subscribers.append(subscriber)

    def add_line(self, line: LogLine) -> None:
        """Add a line that a node has printed."""
        read = self._reader.read(line)
        event = read.event
        if self._record is not None:
            self._record(read)
        with self._changed:
            if read.words is not None:
                self._lines[line.node].append(read.words)
            for counter in self._counters[line.node].values():
                counter.add(read)
            if event is not None:
                self._add_event(event)
            self._notify()
        if event is not None:
            self._publish(event)

    def add_state(self, change: StateChange) -> None:
        """Add a change of a node's state."""
        with self._changed:
            node = self._nodes[change.node]
            if change.state.status is NodeStatus.RUNNING and node.state.status is not NodeStatus.PAUSED:
                node.starts += 1
                node.doing, node.source = "", ""
            node.state = change.state
            if change.state.status is NodeStatus.EXITED:
                self._exits[change.node].append(change)
            self._notify()
        self._publish(change)

    def notify(self) -> None:
        """Wake up all waits, because something other than a node has changed."""
        with self._changed:
            self._notify()

    def lose(self, reason: str, node: str = "") -> None:
        """Note that news of a node is lost for good.

        Without a name it is the news of all nodes, or the record. From now on nothing can be judged that depends on it.
        """
        with self._changed:
            if node:
                self._lost_of.setdefault(node, reason)
            else:
                self._lost = self._lost or reason
            self._notify()

    def count_lines(self, node: str, pattern: LogPattern) -> None:
        """Count a node's matching lines from now on, unless they are counted already."""
        with self._changed:
            self._counters[node].setdefault(pattern, LineCounter(pattern))

    def _notify(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def _publish(self, news: Event | StateChange) -> None:
        for subscriber in self._subscribers:
            subscriber(news)

    def _add_event(self, event: Event) -> None:
        node = self._nodes[event.node]
        if event.name == "state":
            node.doing = event.fields.get("state", "")
        elif event.name == "picked":
            # Any peer may take any name, but only its own address.
            source = self._reader.name_of(event.fields.get("address", ""))
            node.source = source if source in self._nodes else event.fields.get("peer", "")
        self._pairs.add(event)
        if event.name == "pair":
            node.source = self._pairs.source(event.node, self._nodes) or node.source
        if event.name in {"progress", "resumed"}:
            node.have, node.pieces = event.number("have") or 0, event.number("pieces") or 0
        elif event.name == "published":
            node.have = node.pieces = event.number("pieces") or node.pieces
        elif event.name == "completed":
            # A small file is complete before there is a report of progress.
            node.have = node.pieces = node.pieces or 1
        if event.name not in UNKEPT:
            self._keep(event)

    def _keep(self, event: Event) -> None:
        self._events.setdefault((event.node, event.name), deque(maxlen=MAX_EVENTS)).append(event)

    # -- queries -----------------------------------------------------------------------------------

    def require_complete(self) -> None:
        """Raise NotJudgedError where something of all nodes was lost."""
        with self._changed:
            if self._lost:
                raise NotJudgedError(self._lost)

    @property
    def losses(self) -> dict[str, str]:
        """Why news of a node was lost, by node."""
        with self._changed:
            return dict(self._lost_of)

    @property
    def version(self) -> int:
        """Increases with every line and change."""
        with self._changed:
            return self._version

    def snapshot(self, node: str) -> NodeSnapshot:
        """Return a copy of what is known of a node."""
        with self._changed:
            return replace(self._nodes[node])

    def last_lines(self, node: str) -> list[str]:
        """Return the last lines of a node."""
        with self._changed:
            return list(self._lines[node])

    def exits(self, node: str) -> list[StateChange]:
        """Return the changes by which a node's program has ended, oldest first."""
        with self._changed:
            return list(self._exits[node])

    def line_count(self, node: str, pattern: LogPattern, since: float, until: float) -> LineCount:
        """Count a node's matching lines between two times.

        Times are seconds since the epoch. See :meth:`count_lines`.
        """
        with self._changed:
            return self._counters[node][pattern].count(since, until)

    def nth_line(self, node: str, pattern: LogPattern, number: int, since: float) -> float | None:
        """Return the time of a node's n-th matching line, counted from 1.

        None where there are fewer. See :meth:`count_lines`.
        """
        with self._changed:
            return self._counters[node][pattern].nth(number, since)

    def events(self, node: str, name: str, **wanted: str) -> list[Event]:
        """Return a node's events with this name and these fields, oldest first."""
        with self._changed:
            return [event for event in self._events.get((node, name), ()) if event.matches(**wanted)]

    def received(self, node: str, peer: str) -> int:
        """Return the known bytes of content that a node has received from another."""
        with self._changed:
            return self._pairs.received(node, peer)

    def source(self, node: str, peers: Collection[str]) -> str:
        """Return which of some peers a node downloads from, or downloaded from last.

        The result is empty where that is unknown.
        """
        with self._changed:
            source = self._nodes[node].source
            return source if source in peers else self._pairs.source(node, peers)

    def first(self, node: str, *names: str, since: float = 0.0, **wanted: str) -> Event | None:
        """Return the first event of these names at or after a time.

        The time is in seconds since the epoch.
        """
        found = [event for name in names for event in self.events(node, name, **wanted) if event.time >= since]
        return min(found, key=lambda event: event.time, default=None)

    def wait_change(self, version: int, timeout: float) -> int:
        """Wait until the version is not ``version`` any more, and return it.

        When time is up, return the version that is current then.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, max(0.0, timeout))
            return self._version

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds; return False when time is up.

        The condition is checked after every change. Raises NotJudgedError where something of all nodes was lost, or
        time is up and something of one node was.
        """
        deadline = time.monotonic() + timeout
        while True:
            version = self.version
            if condition():
                return True
            self.require_complete()
            left = deadline - time.monotonic()
            if left <= 0:
                if losses := self.losses:
                    raise NotJudgedError(next(iter(losses.values())))
                return False
            self.wait_change(version, left)


class LabClock:
    """The time since the clock's creation, which is t = 0.

    Whoever sets the machine's time of day does not affect it.
    """

    def __init__(self, clock: SteadyClock = STEADY) -> None:
        self._clock = clock
        self.epoch = clock.now()
        """t = 0 on the steady clock."""

    def now(self) -> float:
        """Return the seconds after t = 0."""
        return self._clock.now() - self.epoch

    def of(self, moment: float) -> float:
        """Convert a time of the steady clock to seconds after t = 0."""
        return moment - self.epoch

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Wait, holding ``condition``, for a notification or for that time after t = 0."""
        condition.wait(None if until is None else max(0.0, until - self.now()))
