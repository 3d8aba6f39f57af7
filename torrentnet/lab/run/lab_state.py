"""What is known of every node at this moment, and the place to wait for it to change.

Everything that the engine hands out arrives here, from many threads; everything that waits, waits here. Memory is
bounded: of a kind of event a node's newest are kept, of progress only the last, of its lines the last few.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.line_counter import LineCount, LineCounter
from torrentnet.runtime.events import Event, parse_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torrentnet.lab.scenario.plan import LogPattern

MAX_EVENTS = 1024
"""Of each kind and node."""
MAX_EVENT_NAMES = 64
"""Kinds of event of one node; the programs have some twenty."""
MAX_EXITS = 256
"""Of each node: how often its program has ended."""
MAX_LAST_LINES = 20
"""Of each node: for the message when something fails."""


@dataclass(slots=True)
class NodeSnapshot:
    """What is known of one node."""

    state: NodeState = field(default_factory=lambda: NodeState(NodeStatus.CREATED))
    doing: str = ""
    """``get`` or ``seed``, as the peer itself says."""
    have: int = 0
    pieces: int = 0
    source: str = ""
    """The peer that it downloads from."""
    starts: int = 0


class LabState:
    """Thread-safe knowledge of all nodes."""

    def __init__(self, nodes: Iterable[str], record: Callable[[LogLine, Event | None], None] | None = None) -> None:
        self._changed = threading.Condition()
        self._views = {node: NodeSnapshot() for node in nodes}
        self._lines: dict[str, deque[str]] = {node: deque(maxlen=MAX_LAST_LINES) for node in self._views}
        self._events: dict[tuple[str, str], deque[Event]] = {}
        self._kinds: dict[str, int] = dict.fromkeys(self._views, 0)
        self._ends: dict[str, deque[StateChange]] = {node: deque(maxlen=MAX_EXITS) for node in self._views}
        self._tallies: dict[str, dict[LogPattern, LineCounter]] = {node: {} for node in self._views}
        self._record = record
        self._listeners: list[Callable[[Event | StateChange], None]] = []
        self._version = 0

    # ── what comes in ────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, listener: Callable[[Event | StateChange], None]) -> None:
        """Call ``listener`` for every event and every change, on the thread that brings it."""
        self._listeners.append(listener)

    def take_line(self, line: LogLine) -> None:
        """A node has printed a line."""
        event = parse_event(line.text, node=line.node, arrived=line.time)
        if self._record is not None:
            self._record(line, event)
        with self._changed:
            self._lines[line.node].append(line.text)
            for counter in self._tallies[line.node].values():
                counter.add(line, event)
            if event is not None:
                self._keep(event)
            self._version += 1
            self._changed.notify_all()
        if event is not None:
            self._tell(event)

    def take_state(self, change: StateChange) -> None:
        """A node has begun or ceased to live."""
        with self._changed:
            view = self._views[change.node]
            if change.state.status is NodeStatus.RUNNING and view.state.status is not NodeStatus.PAUSED:
                view.starts += 1
                view.doing, view.source = "", ""
            view.state = change.state
            if change.state.status is NodeStatus.EXITED:
                self._ends[change.node].append(change)
            self._version += 1
            self._changed.notify_all()
        self._tell(change)

    def poke(self) -> None:
        """Wake up all who wait: something outside of the nodes has changed."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _tell(self, news: Event | StateChange) -> None:
        for listener in self._listeners:
            listener(news)

    def _keep(self, event: Event) -> None:
        view = self._views[event.node]
        if event.name == "state":
            view.doing = event.fields.get("state", "")
        elif event.name == "picked":
            view.source = event.fields.get("peer", "")
        if event.name in {"progress", "resumed"}:
            view.have, view.pieces = event.number("have") or 0, event.number("pieces") or 0
        elif event.name == "published":
            view.have = view.pieces = event.number("pieces") or view.pieces
        elif event.name == "completed":
            view.have = view.pieces
        if event.name == "progress":
            return
        kept = self._events.get((event.node, event.name))
        if kept is None:
            if self._kinds[event.node] == MAX_EVENT_NAMES:
                return
            self._kinds[event.node] += 1
            kept = self._events[event.node, event.name] = deque(maxlen=MAX_EVENTS)
        kept.append(event)

    def follow(self, node: str, pattern: LogPattern) -> None:
        """Count the lines of a node that match, from now on; a pattern that is counted already goes on."""
        with self._changed:
            self._tallies[node].setdefault(pattern, LineCounter(pattern))

    # ── what is asked ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def version(self) -> int:
        """Grows with everything that comes in."""
        with self._changed:
            return self._version

    def view(self, node: str) -> NodeSnapshot:
        """A copy of what is known of a node."""
        with self._changed:
            seen = self._views[node]
            return NodeSnapshot(seen.state, seen.doing, seen.have, seen.pieces, seen.source, seen.starts)

    def last_lines(self, node: str) -> list[str]:
        """The last lines that a node printed."""
        with self._changed:
            return list(self._lines[node])

    def ends(self, node: str) -> list[StateChange]:
        """When a node's program has ended and with which status, oldest first."""
        with self._changed:
            return list(self._ends[node])

    def count(self, node: str, pattern: LogPattern, since: float, until: float) -> LineCount:
        """How many of a node's lines match, from one time of the epoch to another. See :meth:`follow`."""
        with self._changed:
            return self._tallies[node][pattern].count(since, until)

    def nth(self, node: str, pattern: LogPattern, number: int, since: float) -> float | None:
        """When the so many-th line that matches was printed; None where there are fewer."""
        with self._changed:
            return self._tallies[node][pattern].nth(number, since)

    def events(self, node: str, name: str, **wanted: str) -> list[Event]:
        """A node's events of a kind whose fields have these values, oldest first."""
        with self._changed:
            return [event for event in self._events.get((node, name), ()) if event.matches(**wanted)]

    def first(self, node: str, *names: str, since: float = 0.0, **wanted: str) -> Event | None:
        """The first event of these kinds at or after a time."""
        found = [event for name in names for event in self.events(node, name, **wanted) if event.time >= since]
        return min(found, key=lambda event: event.time, default=None)

    def wait_change(self, version: int, timeout: float) -> int:
        """Wait until there is something newer than ``version``; answers with the version then."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, max(0.0, timeout))
            return self._version

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds, asking it again whenever something comes in; False when time is up."""
        deadline = time.monotonic() + timeout
        while True:
            version = self.version
            if condition():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.wait_change(version, left)
