"""The display of ``torrentnet status``.

The display shows a lab's nodes, their progress, and the faults of the lab's network.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.live import Live
from rich.text import Text

from torrentnet.lab.cli.node_table import PieceBar, node_table, rest_line
from torrentnet.lab.cli.output import printable
from torrentnet.lab.cli.progress import REFRESH_PER_SECOND
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import ALIVE, NodeStatus, StateChange
from torrentnet.lab.home import read_faults
from torrentnet.lab.network import persisted_rules
from torrentnet.lab.run.facts.piece_map import PieceMaps
from torrentnet.lab.run.lab_state import LabState
from torrentnet.runtime.text import wrap_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rich.console import Console, RenderableType

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import LogLine, NodeState
    from torrentnet.lab.home import ActiveFault, RunningLab
    from torrentnet.lab.run.lab_state import NodeSnapshot
    from torrentnet.runtime.events import Event

TRACKER: Final = "tracker"
"""The name of every lab's tracker."""
MAX_PARALLEL_NODES: Final = 4
QUIET_INTERVAL: Final = 0.25
"""The nodes' logs have been read when no line has arrived for this time ..."""
READ_TIMEOUT: Final = 3.0
"""... or at the latest after this time, because a busy lab is never quiet."""
LINE_INTERVAL: Final = 1.0
RULES_RESTORED: Final = "set again"
RULES_LOST: Final = "lost: "
STYLES: Final = {"running": "cyan", "seed": "green", "paused": "yellow", "gone": "red"}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node."""

    node: str
    address: str
    state: str
    """The engine's: ``running``, ``exited (137)``."""
    doing: str
    """The peer's own state: ``get`` or ``seed``; empty for the tracker."""
    have: int
    pieces: int
    """Of the file; 0 as long as the node has not reported it."""
    source: str
    """The peer that it downloads from."""
    rules: str = ""
    """The rules of a node that was started again by hand: RULES_RESTORED, or RULES_LOST and the reason."""

    @property
    def progress(self) -> str:
        """``12/32``; empty where it is unknown."""
        return f"{self.have}/{self.pieces}" if self.pieces else ""

    @property
    def life(self) -> str:
        """The state in a word or two: the peer's own state where there is one."""
        life = self.doing if self.state == "running" and self.doing else self.state
        return f"{life} (rules lost)" if self.rules.startswith(RULES_LOST) else life


class LabMonitor:
    """An observer of a lab that another process has brought up, for ``with`` blocks."""

    def __init__(
        self, running: RunningLab, engine: Engine, home: Path, on_line: Callable[[LogLine], None] | None = None
    ) -> None:
        self.running = running
        self._engine = engine
        self._home = home
        self._nodes = sorted(engine.locations, key=natural_key)
        self._rules: dict[str, str] = {}
        self._checked: dict[str, tuple[int, NodeState]] = {}
        """The starts and states for which :meth:`restore_rules` has checked each node."""
        self.maps = PieceMaps()
        """Which pieces each node has."""
        self._lab_state = LabState(self._nodes, None if on_line is None else lambda read: on_line(read.line))

    def __enter__(self) -> LabMonitor:
        with ThreadPoolExecutor(MAX_PARALLEL_NODES, "status") as pool:
            states = list(pool.map(self._engine.state, self._nodes))
        for node, state in zip(self._nodes, states, strict=True):
            self._lab_state.add_state(StateChange(node, STEADY.now(), state))
        self._lab_state.subscribe(self._add_news)
        self._engine.watch(self._lab_state.add_line, self._lab_state.add_state, self._lab_state.lose)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.unwatch()

    def _add_news(self, news: Event | StateChange) -> None:
        if not isinstance(news, StateChange):
            self.maps.add(news)

    def settle(self) -> None:
        """Wait until what the nodes have printed so far has been read."""
        deadline = time.monotonic() + READ_TIMEOUT
        version = self._lab_state.version
        while time.monotonic() < deadline:
            later = self._lab_state.wait_change(version, QUIET_INTERVAL)
            if later == version:
                return
            version = later

    def restore_rules(self) -> None:
        """Set the lab's rules in nodes that were started again by hand.

        :meth:`rows` reports the result for each of these nodes.
        """
        snapshots = {node: self._lab_state.snapshot(node) for node in self._nodes}
        alive = {node: (seen.starts, seen.state) for node, seen in snapshots.items() if seen.state.status in ALIVE}
        changed = [node for node, now in alive.items() if self._checked.get(node) != now]
        self._checked = alive
        if changed:
            restored = persisted_rules.restore_rules(self._home, self.running.project, self._engine, changed)
            for node, problem in restored.items():
                self._rules[node] = f"{RULES_LOST}{problem}" if problem else RULES_RESTORED

    def rows(self) -> list[NodeRow]:
        """Return all nodes, the tracker first."""
        return [self._row(node, self._lab_state.snapshot(node)) for node in self._nodes]

    def _row(self, node: str, snapshot: NodeSnapshot) -> NodeRow:
        alive = snapshot.state.status in ALIVE
        # The tracker reports everybody's pieces and has none itself.
        have, pieces = (0, 0) if node == TRACKER else (snapshot.have, snapshot.pieces)
        return NodeRow(
            node=node,
            address=self._engine.locations[node].address,
            state=str(snapshot.state),
            doing=snapshot.doing if alive else "",
            have=have,
            pieces=pieces,
            source=snapshot.source if alive and snapshot.doing == "get" else "",
            rules=self._rules.get(node, ""),
        )

    def faults(self) -> list[ActiveFault]:
        """Return what is in force in the network now."""
        return read_faults(self._home, self.running.project)

    @property
    def gone(self) -> bool:
        """Whether the lab has been removed."""
        return all(self._lab_state.snapshot(node).state.status is NodeStatus.GONE for node in self._nodes)

    def wait(self, timeout: float) -> None:
        """Wait until a node prints or changes, at most ``timeout`` seconds.

        Raises NotJudgedError where news of the nodes was lost while the lab exists.
        """
        self._lab_state.wait_change(self._lab_state.version, timeout)
        if not self.gone:
            self._lab_state.require_complete()


def natural_key(name: str) -> tuple[bool, str, int]:
    """Return a key that sorts the tracker first, then by name and number.

    ``leecher-10`` is sorted after ``leecher-9``.
    """
    group, _, number = name.rpartition("-")
    return (name != TRACKER, group or name, int(number) if number.isdigit() else 0)


def fault_lines(faults: list[ActiveFault], now: float) -> Iterator[str]:
    """Yield what is in force in the network, as lines."""
    for fault in faults:
        yield f"link: {fault.text}" if fault.link else f"fault: {fault.text} (for {max(0.0, now - fault.since):.1f} s)"


def rule_lines(rows: Iterable[NodeRow]) -> Iterator[str]:
    """Yield a line for each node whose rules were not in force."""
    for row in rows:
        if row.rules:
            problem = row.rules.removeprefix(RULES_LOST)
            what = "are set again" if row.rules == RULES_RESTORED else f"cannot be set: {problem}"
            yield f"{row.node} was started again by hand, without the rules of its links; they {what}"


def show_live(monitor: LabMonitor, console: Console) -> None:
    """Show the lab on a terminal until it is gone."""
    with Live(get_renderable=lambda: _render(monitor, console), console=console, refresh_per_second=REFRESH_PER_SECOND):
        while not monitor.gone:
            monitor.restore_rules()
            monitor.wait(LINE_INTERVAL)


def plain_lines(monitor: LabMonitor, unread: Callable[[], bool] = lambda: False) -> Iterator[str]:
    """Yield the lab as lines, one for each node that has changed.

    The lines end when the lab is gone, or ``unread`` returns True.
    """
    shown: dict[str, NodeRow] = {}
    shown_faults: list[str] = []
    while True:
        gone = monitor.gone
        faults = [fault.text for fault in monitor.faults()]
        yield from (f"begins: {text}" for text in faults if text not in shown_faults)
        yield from (f"ends: {text}" for text in shown_faults if text not in faults)
        shown_faults = faults
        monitor.restore_rules()
        for row in monitor.rows():
            if shown.get(row.node) != row:
                if row.rules and (row.node not in shown or shown[row.node].rules != row.rules):
                    yield from rule_lines([row])
                shown[row.node] = row
                source = f"from {row.source}" if row.source else ""
                yield " ".join(part for part in (row.node, row.address, row.life, row.progress, source) if part)
        if gone or unread():
            return
        deadline = time.monotonic() + LINE_INTERVAL
        while (left := deadline - time.monotonic()) > 0 and not monitor.gone:
            monitor.wait(left)


def _render(monitor: LabMonitor, console: Console) -> RenderableType:
    rows = monitor.rows()
    faults = [*fault_lines(monitor.faults(), time.monotonic()), *rule_lines(rows)]
    cells = [
        (
            row.node,
            row.address,
            Text(printable(row.life), STYLES.get(row.life.split()[0], "")),
            row.progress,
            PieceBar(monitor.maps, row.node, row.have, row.pieces) if row.pieces else "",
            Text(row.source, "dim"),
        )
        for row in rows
    ]
    headers = ("node", "address", "state", "pieces", "", "from")
    lines = [part for line in faults for part in wrap_line(printable(line), console.width)]
    table, shown = node_table(console, monitor.running.scenario, headers, cells, below=len(lines))
    rest = [rest_line([row.doing for row in rows[shown:]], console=console)] if shown < len(rows) else []
    return Group(table, *rest, *(Text(line, "yellow") for line in lines))
