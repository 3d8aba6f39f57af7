"""What ``torrentnet status`` shows of a lab: its nodes, what they do, and what they suffer from."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from torrentnet.lab.cli.progress import BAR_WIDTH, REFRESH_PER_S, printable
from torrentnet.lab.engines.types import ALIVE, NodeStatus, StateChange
from torrentnet.lab.home import lab_store
from torrentnet.lab.network import persisted_rules
from torrentnet.lab.run.lab_state import LabState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rich.console import Console, RenderableType

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import LogLine, NodeState
    from torrentnet.lab.home.lab_store import ActiveFault, RunningLab
    from torrentnet.lab.run.lab_state import NodeSnapshot

TRACKER = "tracker"
"""So every lab's tracker is called."""
MAX_PARALLEL_NODES = 4
QUIET_INTERVAL = 0.25
"""The nodes' logs have been read when nothing has come for so long ..."""
READ_TIMEOUT = 3.0
"""... and in no case later: a busy lab is never quiet."""
LINE_INTERVAL = 1.0
SET_AGAIN, LOST = "set again", "lost: "
STYLES = {"running": "cyan", "seed": "green", "paused": "yellow", "gone": "red"}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node."""

    node: str
    address: str
    state: str
    """As the engine says it: ``running``, ``exited (137)``."""
    doing: str
    """``get`` or ``seed``, as the peer itself says; empty for the tracker."""
    have: int
    pieces: int
    """Of the file; 0 where the node has not said how many there are."""
    source: str
    """The peer that it downloads from."""
    rules: str = ""
    """What became of its rules where it was started again by hand: SET_AGAIN, or LOST and why."""

    @property
    def progress(self) -> str:
        """``12/32``; empty where there is none."""
        return f"{self.have}/{self.pieces}" if self.pieces else ""

    @property
    def life(self) -> str:
        """The state in one word or two, with the peer program's own where it lives."""
        life = self.doing if self.state == "running" and self.doing else self.state
        return f"{life} (rules lost)" if self.rules.startswith(LOST) else life


class LabMonitor:
    """Follows a lab that another process has brought up. A context manager: its end lets go of the engine's streams."""

    def __init__(
        self, up: RunningLab, engine: Engine, home: Path, on_line: Callable[[LogLine], None] | None = None
    ) -> None:
        self.up = up
        self._engine = engine
        self._home = home
        self._nodes = sorted(engine.places, key=natural_key)
        self._rules: dict[str, str] = {}
        self._looked: dict[str, tuple[int, NodeState]] = {}
        """At which starts and states :meth:`mend` has looked."""
        self._board = LabState(self._nodes, None if on_line is None else lambda line, _: on_line(line))

    def __enter__(self) -> LabMonitor:
        with ThreadPoolExecutor(MAX_PARALLEL_NODES, "status") as hands:
            states = list(hands.map(self._engine.state, self._nodes))
        for node, found in zip(self._nodes, states, strict=True):
            self._board.take_state(StateChange(node, time.time(), found))
        self._engine.watch(self._board.take_line, self._board.take_state)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.unwatch()

    def settle(self) -> None:
        """Wait until what the nodes have said so far has been read."""
        deadline = time.monotonic() + READ_TIMEOUT
        version = self._board.version
        while time.monotonic() < deadline:
            later = self._board.wait_change(version, QUIET_INTERVAL)
            if later == version:
                return
            version = later

    def mend(self) -> None:
        """Give nodes that were started again by hand the rules that the lab was left with; :meth:`rows` tell of it."""
        views = {node: self._board.view(node) for node in self._nodes}
        seen = {node: (view.starts, view.state) for node, view in views.items() if view.state.status in ALIVE}
        new = [node for node, now in seen.items() if self._looked.get(node) != now]
        self._looked = seen
        if new:
            for node, problem in persisted_rules.restore_rules(self._home, self.up.project, self._engine, new).items():
                self._rules[node] = f"{LOST}{problem}" if problem else SET_AGAIN

    def rows(self) -> list[NodeRow]:
        """All nodes, the tracker first."""
        return [self._row(node, self._board.view(node)) for node in self._nodes]

    def _row(self, node: str, view: NodeSnapshot) -> NodeRow:
        living = view.state.status in ALIVE
        source = view.source if living and view.doing == "get" else ""
        address = self._engine.places[node].address
        # The tracker tells of everybody's pieces and has none.
        have, pieces = (0, 0) if node == TRACKER else (view.have, view.pieces)
        return NodeRow(
            node,
            address,
            str(view.state),
            view.doing if living else "",
            have,
            pieces,
            source,
            self._rules.get(node, ""),
        )

    def faults(self) -> list[ActiveFault]:
        """What the network suffers from now."""
        return lab_store.read_faults(self._home, self.up.project)

    @property
    def gone(self) -> bool:
        """Whether the lab has been removed."""
        return all(self._board.view(node).state.status is NodeStatus.GONE for node in self._nodes)

    def wait(self, timeout: float) -> None:
        """Wait until something comes in, or for so many seconds."""
        self._board.wait_change(self._board.version, timeout)


def natural_key(name: str) -> tuple[bool, str, int]:
    """The tracker first, then by name and number: ``leecher-10`` comes after ``leecher-9``."""
    group, _, number = name.rpartition("-")
    return (name != TRACKER, group or name, int(number) if number.isdigit() else 0)


def fault_lines(faults: list[ActiveFault], now: float) -> Iterator[str]:
    """What the network suffers from, as lines."""
    for fault in faults:
        yield f"link: {fault.text}" if fault.link else f"fault: {fault.text} (for {max(0.0, now - fault.since):.1f} s)"


def rule_lines(rows: Iterable[NodeRow]) -> Iterator[str]:
    """Whose rules were not in force, as lines."""
    for row in rows:
        if row.rules:
            what = "are set again" if row.rules == SET_AGAIN else f"cannot be set: {row.rules.removeprefix(LOST)}"
            yield f"{row.node} was started again by hand, without the rules of its links; they {what}"


def show_live(watch: LabMonitor, console: Console) -> None:
    """Show the lab on a terminal until it is gone."""
    with Live(get_renderable=lambda: _render(watch, console), console=console, refresh_per_second=REFRESH_PER_S):
        while not watch.gone:
            watch.mend()
            watch.wait(LINE_INTERVAL)


def plain_lines(watch: LabMonitor) -> Iterator[str]:
    """The lab as lines, one for each node that has changed, until it is gone."""
    told: dict[str, NodeRow] = {}
    told_faults: list[str] = []
    while True:
        gone = watch.gone
        faults = [fault.text for fault in watch.faults()]
        yield from (f"begins: {text}" for text in faults if text not in told_faults)
        yield from (f"is over: {text}" for text in told_faults if text not in faults)
        told_faults = faults
        watch.mend()
        for row in watch.rows():
            if told.get(row.node) != row:
                if row.rules and (row.node not in told or told[row.node].rules != row.rules):
                    yield from rule_lines([row])
                told[row.node] = row
                source = f"from {row.source}" if row.source else ""
                yield " ".join(part for part in (row.node, row.address, row.life, row.progress, source) if part)
        if gone:
            return
        deadline = time.monotonic() + LINE_INTERVAL
        while (left := deadline - time.monotonic()) > 0 and not watch.gone:
            watch.wait(left)


def _render(watch: LabMonitor, console: Console) -> RenderableType:
    rows = watch.rows()
    faults = [*fault_lines(watch.faults(), time.time()), *rule_lines(rows)]
    table = Table(
        title=Text(watch.up.scenario, "bold"), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for header in ("node", "address", "state", "pieces", "", "from"):
        table.add_column(header, justify="right" if header == "pieces" else "left", no_wrap=True)
    # Two lines are left for the title and the headers, one for the cursor.
    room = max(4, console.height - 4 - len(faults))
    shown = rows if len(rows) <= room else rows[: room - 1]
    for row in shown:
        style = STYLES.get(row.life.split()[0], "")
        bar = ProgressBar(total=row.pieces, completed=row.have, width=BAR_WIDTH) if row.pieces else ""
        life = Text(printable(row.life), style)
        table.add_row(row.node, row.address, life, row.progress, bar, Text(row.source, "dim"))
    if len(shown) < len(rows):
        table.add_row(Text(f"and {len(rows) - len(shown)} more", "dim"))
    return Group(table, *(Text(printable(line), "yellow", no_wrap=True) for line in faults))
