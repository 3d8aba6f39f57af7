"""The display of a lab's progress.

A terminal shows a live table; a pipe receives plain lines.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from torrentnet.lab.cli.node_table import PieceBar, node_table, rest_line
from torrentnet.lab.cli.output import printable
from torrentnet.lab.engines.types import NodeStatus, StateChange
from torrentnet.lab.run.facts.piece_map import PieceMaps
from torrentnet.lab.run.view import DetachedView, LabView
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.text import wrap_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from torrentnet.lab.cli.node_table import Cell
    from torrentnet.lab.run.lab_state import LabClock, LabState, NodeSnapshot
    from torrentnet.lab.run.timeline.schedule import AppliedEvent
    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan
    from torrentnet.runtime.events import Event

REFRESH_PER_SECOND: Final = 5
DRAIN_PATIENCE: Final = 2.0
"""Seconds that an interrupted command waits until the rest of its output has been read."""
PROGRESS_INTERVAL: Final = 2.0
"""Seconds between two lines of progress in a pipe."""
MAX_PROGRESS_NODES: Final = 6
"""Nodes named in a line of progress; the others are counted."""
MOMENT: Final = re.compile(r" *[0-9]+\.[0-9] s  ")
"""The time at the beginning of a line."""
PASS_WORDS: Final = r"^  ok(?= )|(?<=: )PASSED"
WARN_WORDS: Final = r"^  WARN(?= )"
FAIL_WORDS: Final = r"^  FAIL(?= )|(?<=: )(FAILED|INTERRUPTED|ERROR|NOT JUDGED)"


class ProgressView(LabView):
    """Plain lines, for pipes and files."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lock = threading.Lock()
        self._plan: Plan | None = None
        self._lab_state: LabState | None = None
        self._clock: LabClock | None = None
        self._last_progress_time = 0.0
        self._last_progress = ""

    def print_line(self, line: str) -> None:
        shown = printable(line)
        if self.console.is_terminal:
            moment = MOMENT.match(shown)
            shown = "\n".join(wrap_line(shown, self.console.width, len(moment[0]) if moment else None))
        text = Text(shown)
        text.highlight_regex(PASS_WORDS, "bold green")
        text.highlight_regex(WARN_WORDS, "bold yellow")
        text.highlight_regex(FAIL_WORDS, "bold red")
        self.console.print(text, soft_wrap=True)

    def start(self, plan: Plan, lab_state: LabState) -> None:
        self._plan, self._lab_state = plan, lab_state

    def set_clock(self, clock: LabClock) -> None:
        self._clock = clock

    def stop(self) -> None:
        self._plan = self._lab_state = self._clock = None

    def event_begun(self, text: str, began: float) -> None:
        self._print_at(began, text)

    def event_applied(self, event: AppliedEvent) -> None:
        if line := event.line():
            self._print_at(event.applied, line)

    def node_changed(self, news: Event | StateChange) -> None:
        clock, plan = self._clock, self._plan
        if clock is None or plan is None:
            return
        text = _change_line(news) if isinstance(news, StateChange) else _event_line(news, plan)
        if text:
            self._print_at(clock.of(news.time), text)
        elif not isinstance(news, StateChange) and news.name == "progress":
            self._print_progress()

    def _print_progress(self) -> None:
        """Print how far the downloads are, at most once in PROGRESS_INTERVAL."""
        plan, lab_state, clock = self._plan, self._lab_state, self._clock
        if plan is None or lab_state is None or clock is None:
            return
        with self._lock:
            if time.monotonic() - self._last_progress_time < PROGRESS_INTERVAL:
                return
            self._last_progress_time = time.monotonic()
            parts = []
            for node in plan.nodes:
                snapshot = lab_state.snapshot(node.name)
                if snapshot.pieces and snapshot.doing == "get" and snapshot.state.status is NodeStatus.RUNNING:
                    parts.append(f"{node.name} {100 * snapshot.have // snapshot.pieces} %")
        text = ", ".join(parts[:MAX_PROGRESS_NODES])
        if len(parts) > MAX_PROGRESS_NODES:
            text += f" and {len(parts) - MAX_PROGRESS_NODES} more"
        if text and text != self._last_progress:
            self._last_progress = text
            self._print_at(clock.now(), text)

    def _print_at(self, seconds: float, text: str) -> None:
        self.print_line(f"{seconds:7.1f} s  {text}")


class LiveProgressView(ProgressView):
    """A live table of all nodes, for terminals.

    The table is redrawn as the nodes change. Events are printed above the table.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live: Live | None = None
        self._maps = PieceMaps()

    def start(self, plan: Plan, lab_state: LabState) -> None:
        super().start(plan, lab_state)
        self._live = Live(
            get_renderable=self._render, console=self.console, refresh_per_second=REFRESH_PER_SECOND, transient=True
        )
        self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        super().stop()

    def node_changed(self, news: Event | StateChange) -> None:
        if not isinstance(news, StateChange):
            self._maps.add(news)
        super().node_changed(news)

    def _print_progress(self) -> None:
        """Print nothing: the table shows the progress."""

    def _render(self) -> RenderableType:
        plan, lab_state = self._plan, self._lab_state
        if plan is None or lab_state is None:
            return Text()
        clock = self._clock
        title = f"{plan.name}  {clock.now():.1f} s of {plan.time_limit:g} s" if clock else f"{plan.name}  starting"
        snapshots = [lab_state.snapshot(node.name) for node in plan.nodes]
        rows = [_table_row(node, snapshot, self._maps) for node, snapshot in zip(plan.nodes, snapshots, strict=True)]
        table, shown = node_table(self.console, title, ("node", "state", "pieces", "", "from"), rows)
        rest = snapshots[shown:]
        return Group(table, rest_line([one.doing for one in rest], console=self.console)) if rest else table


def make_progress_view(console: Console) -> ProgressView:
    """Return the view that suits where the lines go: a terminal or a pipe."""
    return LiveProgressView(console) if console.is_terminal and not console.is_dumb_terminal else ProgressView(console)


@contextlib.contextmanager
def open_view(*, as_json: bool, live: bool = True) -> Iterator[DetachedView]:
    """Show the progress of a command in a ``with`` block.

    At the end of the block everything has been shown. With ``--json``, standard output belongs to the document.
    Without ``live``, a terminal gets plain lines, too.
    """
    console = Console(stderr=as_json)
    view = DetachedView(make_progress_view(console) if live and not as_json else ProgressView(console))
    try:
        yield view
    except BaseException:
        # The command has failed or was interrupted, so it does not wait for a reader that does not read.
        view.close(DRAIN_PATIENCE)
        raise
    view.close()


def _table_row(node: NodePlan, snapshot: NodeSnapshot, maps: PieceMaps) -> tuple[Cell, ...]:
    text, style = _node_status_text(node, snapshot)
    if node.role is not Role.GET or not snapshot.pieces:
        return (Text(node.name), Text(text, style))
    bar = PieceBar(maps, node.name, snapshot.have, snapshot.pieces)
    source = snapshot.source if snapshot.doing == "get" else ""
    return (Text(node.name), Text(text, style), f"{snapshot.have}/{snapshot.pieces}", bar, Text(source, "dim"))


def _node_status_text(node: NodePlan, snapshot: NodeSnapshot) -> tuple[str, str]:
    """Return a node's state in a word or two, and the style of the text."""
    match snapshot.state.status:
        case NodeStatus.CREATED:
            return "waiting", "dim"
        case NodeStatus.PAUSED:
            return "paused", "yellow"
        case NodeStatus.EXITED | NodeStatus.GONE:
            code = snapshot.state.exit_code
            return (f"ended ({code})" if code else "ended"), "red" if code else "dim"
        case _:
            if node.role is Role.TRACKER:
                return "running", "green"
            if snapshot.doing == "seed":
                return "seed", "green"
            return ("downloading" if snapshot.pieces else "running"), "cyan"


def _change_line(change: StateChange) -> str:
    if change.state.status is NodeStatus.EXITED and change.state.exit_code not in {0, None}:
        return f"{change.node} ended with status {change.state.exit_code}"
    return ""


def _event_line(event: Event, plan: Plan) -> str:
    """Return a line about an event; empty where the event is not shown."""
    get, node, peer = event.fields.get, event.node, event.fields.get("peer", "")
    from_tracker = any(one.name == node and one.role is Role.TRACKER for one in plan.nodes)
    # The peers report that they publish and complete; only the tracker knows who left or was forgotten.
    match event.name, from_tracker:
        case "forgotten", True:
            return f"{node} forgot {peer} after {get('silent_ms', '?')} ms of silence"
        case "left", True:
            return f"{peer} left"
        case "published", False:
            return f"{node} shares {get('file', '')}"
        case "completed", False:
            # Adapters of other programs do not know the sources.
            return f"{node} completed {get('file', '')}{_sources(get('sources', ''))}"
        case "source_lost", False:
            return f"{node} lost {peer} ({get('reason', '?')}) with {get('have', '?')} pieces"
        case "bad_piece", False:
            return f"{node} received a bad piece {get('piece', '?')} from {peer}"
        case "failed", False:
            return f"{node} failed: {get('reason', '?')}"
        case "tracker_silent", False:
            return f"{node} gets no reply from the tracker"
        case "tracker_back", False:
            return f"{node} gets replies from the tracker again"
        case _:
            return ""


def _sources(text: str) -> str:
    """Return ``seeder-1:4,seeder-2:8`` in words."""
    found = [source.rpartition(":") for source in text.split(",") if source]
    if not all(name and count.isdecimal() for name, _, count in found):
        return f", from {text}" if text else ""
    parts = [f"{count} from {name}" for name, _, count in found]
    if parts:
        parts[0] = parts[0].replace(" from", f" piece{'s' * (found[0][2] != '1')} from", 1)
    return f": {', '.join(parts)}" if parts else ""
