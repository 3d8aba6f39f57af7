"""What a person sees while a lab works: a live table on a terminal, plain lines in a pipe."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from torrentnet.lab.engines.types import NodeStatus, StateChange
from torrentnet.lab.scenario.plan import Role

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from torrentnet.lab.events import Event
    from torrentnet.lab.run.clock import LabClock
    from torrentnet.lab.run.lab_state import LabState, NodeSnapshot
    from torrentnet.lab.run.timeline.applied_event import AppliedEvent
    from torrentnet.lab.scenario.plan import NodePlan, Plan

REFRESH_PER_S = 5
BAR_WIDTH = 24
PROGRESS_INTERVAL = 2.0
"""Between two lines of progress in a pipe."""
MAX_PROGRESS_NODES = 6
"""Named in such a line; more are counted."""
PASS_WORDS = r"^  ok(?= )|(?<=: )PASSED"
WARN_WORDS = r"^  WARN(?= )"
FAIL_WORDS = r"^  FAIL(?= )|(?<=: )(FAILED|INTERRUPTED|NOT JUDGED)"
SHOWN_EVENTS = {
    "published",
    "completed",
    "source_lost",
    "bad_piece",
    "failed",
    "forgotten",
    "left",
    "tracker_silent",
    "tracker_back",
}
"""Events that are worth a line."""


class ProgressView:
    """Tells a person what goes on. This one is for pipes and files; :class:`LiveProgressView` is for terminals."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lock = threading.Lock()
        self._plan: Plan | None = None
        self._board: LabState | None = None
        self._clock: LabClock | None = None
        self._told_progress = 0.0
        self._progress = ""

    def say(self, line: str) -> None:
        """Tell one line."""
        text = Text(printable(line))
        text.highlight_regex(PASS_WORDS, "bold green")
        text.highlight_regex(WARN_WORDS, "bold yellow")
        text.highlight_regex(FAIL_WORDS, "bold red")
        self.console.print(text, soft_wrap=True)

    def begin(self, plan: Plan, board: LabState) -> None:
        """Show these nodes from now on."""
        self._plan, self._board = plan, board

    def zero(self, clock: LabClock) -> None:
        """t = 0 is now."""
        self._clock = clock

    def end(self) -> None:
        """Show them no more."""
        self._plan = self._board = self._clock = None

    def applied(self, applied: AppliedEvent) -> None:
        """Something of the timeline has happened."""
        self._tell(applied.began, applied.line())

    def news(self, news: Event | StateChange) -> None:
        """A node has said something, or begun or ceased to live."""
        clock, plan = self._clock, self._plan
        if clock is None or plan is None:
            return
        text = _change_line(news) if isinstance(news, StateChange) else _event_line(news, plan)
        if text:
            self._tell(clock.of(news.time), text)
        elif not isinstance(news, StateChange) and news.name == "progress":
            self.progress()

    def progress(self) -> None:
        """Say how far the downloads are, now and then."""
        plan, board, clock = self._plan, self._board, self._clock
        if plan is None or board is None or clock is None:
            return
        with self._lock:
            if time.monotonic() - self._told_progress < PROGRESS_INTERVAL:
                return
            self._told_progress = time.monotonic()
            parts = []
            for node in plan.nodes:
                view = board.view(node.name)
                if view.pieces and view.doing == "get":
                    parts.append(f"{node.name} {100 * view.have // view.pieces} %")
        text = ", ".join(parts[:MAX_PROGRESS_NODES])
        if len(parts) > MAX_PROGRESS_NODES:
            text += f" and {len(parts) - MAX_PROGRESS_NODES} more"
        if text and text != self._progress:
            self._progress = text
            self._tell(clock.now(), text)

    def _tell(self, seconds: float, text: str) -> None:
        self.say(f"{seconds:7.1f} s  {text}")


class LiveProgressView(ProgressView):
    """A table of all nodes that is drawn again as things change, with the events above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live: Live | None = None

    def begin(self, plan: Plan, board: LabState) -> None:
        """See :meth:`View.begin`."""
        super().begin(plan, board)
        self._live = Live(
            get_renderable=self._render, console=self.console, refresh_per_second=REFRESH_PER_S, transient=True
        )
        self._live.start()

    def end(self) -> None:
        """See :meth:`View.end`."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        super().end()

    def progress(self) -> None:
        """The table shows it."""

    def _render(self) -> RenderableType:
        plan, board = self._plan, self._board
        if plan is None or board is None:
            return Text()
        clock = self._clock
        title = f"{plan.name}  {clock.now():.1f} s of {plan.time_limit:g} s" if clock else f"{plan.name}  starting"
        table = Table(title=Text(title, "bold"), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for header in ("node", "state", "pieces", "", "from"):
            table.add_column(header, justify="right" if header == "pieces" else "left", no_wrap=True)
        # Two lines are left for the title and the headers, one for the cursor.
        room = max(4, self.console.height - 4)
        shown = plan.nodes if len(plan.nodes) <= room else plan.nodes[: room - 1]
        for node in shown:
            table.add_row(*self._row(node, board.view(node.name)))
        if len(shown) < len(plan.nodes):
            rest = [board.view(node.name) for node in plan.nodes[len(shown) :]]
            seeds = sum(view.doing == "seed" for view in rest)
            table.add_row(Text(f"and {len(rest)} more, {seeds} of them seeds", "dim"))
        return table

    def _row(self, node: NodePlan, view: NodeSnapshot) -> tuple[RenderableType, ...]:
        text, style = _node_status_text(node, view)
        if node.role is not Role.GET or not view.pieces:
            return (Text(node.name), Text(text, style), "", "", "")
        bar = ProgressBar(total=view.pieces, completed=view.have, width=BAR_WIDTH)
        source = view.source if view.doing == "get" else ""
        return (Text(node.name), Text(text, style), f"{view.have}/{view.pieces}", bar, Text(source, "dim"))


def printable(text: str) -> str:
    """Text that does nothing to a terminal: what a node prints goes to a person's."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def make_progress_view(console: Console) -> ProgressView:
    """The view that suits where the lines go."""
    return LiveProgressView(console) if console.is_terminal and not console.is_dumb_terminal else ProgressView(console)


def _node_status_text(node: NodePlan, view: NodeSnapshot) -> tuple[str, str]:
    match view.state.status:
        case NodeStatus.CREATED:
            return "waiting", "dim"
        case NodeStatus.PAUSED:
            return "paused", "yellow"
        case NodeStatus.EXITED | NodeStatus.GONE:
            code = view.state.exit_code
            return (f"ended ({code})" if code else "ended"), "red" if code else "dim"
        case _:
            if node.role is Role.TRACKER:
                return "running", "green"
            if view.doing == "seed":
                return "seed", "green"
            return ("downloading" if view.pieces else "running"), "cyan"


def _change_line(change: StateChange) -> str:
    if change.state.status is NodeStatus.EXITED and change.state.exit_code not in {0, None}:
        return f"{change.node} ended with status {change.state.exit_code}"
    return ""


def _event_line(event: Event, plan: Plan) -> str:
    """One line about an event, or nothing where it is not worth one."""
    if event.name not in SHOWN_EVENTS:
        return ""
    get, peer = event.fields.get, event.fields.get("peer", "")
    from_tracker = any(node.name == event.node and node.role is Role.TRACKER for node in plan.nodes)
    if from_tracker:
        # Peers tell of their own publishing and completing; of leaving and vanishing only the tracker can.
        texts = {
            "forgotten": f"{event.node} has forgotten {peer} after {get('silent_ms', '?')} ms of silence",
            "left": f"{peer} has left",
        }
        return texts.get(event.name, "")
    sources = get("sources", "")
    texts = {
        "published": f"{event.node} shares {get('file', '')}",
        # Real clients do not tell from whom.
        "completed": f"{event.node} has {get('file', '')} whole" + (f", from {sources}" if sources else ""),
        "source_lost": f"{event.node} has lost {peer} ({get('reason', '?')}) with {get('have', '?')} pieces",
        "bad_piece": f"{event.node} got a bad piece {get('piece', '?')} from {peer}",
        "failed": f"{event.node} has failed: {get('reason', '?')}",
        "tracker_silent": f"{event.node} does not hear the tracker",
        "tracker_back": f"{event.node} hears the tracker again",
    }
    return texts.get(event.name, "")
