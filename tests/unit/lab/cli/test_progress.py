"""What a person sees while a lab works: lines in a pipe, a table on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from tests.unit.lab import golden
from tests.unit.lab.fakes import APPLIED_KILL, EPOCH, INEFFECTIVE_KILL, FakeClock, leecher, make_plan, seeder
from torrentnet.lab.cli.progress import (
    LiveProgressView,
    ProgressView,
    make_progress_view,
)
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.lab_state import LabState

PLAN = make_plan(nodes=(seeder(), leecher("leecher-1"), leecher("leecher-2")))
KILLED = replace(APPLIED_KILL, announced=True)
TIME = "2026-11-23T12:29:11.123Z"


def terminal(out: io.StringIO) -> Console:
    """Return a console that writes to ``out`` as to a terminal.

    The terminal has 80 columns and 20 lines.
    """
    return Console(file=out, force_terminal=True, width=80, height=20, color_system=None, _environ={"TERM": "xterm"})


def play(view: ProgressView) -> None:
    """Show a short run."""
    lab_state = LabState(node.name for node in PLAN.nodes)
    lab_state.subscribe(view.node_changed)
    clock = FakeClock()
    view.print_line("creating 4 nodes")
    view.start(PLAN, lab_state)
    view.set_clock(clock)  # type: ignore[arg-type]
    for node in ("tracker", "seeder-1", "leecher-1"):
        lab_state.add_state(StateChange(node, EPOCH, NodeState(NodeStatus.RUNNING)))
    events = [
        (0.1, "leecher-1", "state state=get file=a.txt"),
        (0.2, "leecher-1", "picked peer=seeder-1 address=198.18.0.3:6881 among=1"),
        (0.3, "leecher-1", "progress file=a.txt have=3 pieces=12"),
        (0.4, "leecher-1", "progress file=a.txt have=4 pieces=12"),
        (0.9, "tracker", "published file=a.txt peer=seeder-1"),
        (1.0, "leecher-1", 'source_lost peer=seeder-1 reason="closed the \\u001b[31mconnection" have=4'),
        (3.0, "tracker", "forgotten file=a.txt peer=seeder-1 silent_ms=2001"),
        (4.0, "leecher-1", "completed file=a.txt bytes=100 ms=7 sources=seeder-1:4,seeder-2:8"),
    ]
    for at, node, text in events:
        clock.time = at
        lab_state.add_line(LogLine(node, EPOCH + at, f"{TIME} {text}"))
        if node == "tracker" and at < 1.0:
            view.event_begun(KILLED.text, KILLED.began)
    view.event_applied(KILLED)
    view.event_applied(INEFFECTIVE_KILL)
    lab_state.add_state(StateChange("seeder-1", EPOCH + 1.1, NodeState(NodeStatus.EXITED, 137)))
    view.stop()


def test_a_pipe_gets_plain_lines() -> None:
    out = io.StringIO()
    view = make_progress_view(Console(file=out))
    assert not isinstance(view, LiveProgressView)
    play(view)
    golden.check("view_plain.txt", out.getvalue())


def test_a_terminal_gets_a_table() -> None:
    out = io.StringIO()
    view = make_progress_view(terminal(out))
    assert isinstance(view, LiveProgressView)
    play(view)
    shown = out.getvalue()
    assert "leecher-1  downloading   12/12" in shown
    assert "seeder-1" in shown
    assert "\x1b[31m" not in shown
    # The cursor is visible again.
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_nodes_beyond_the_terminal_are_counted() -> None:
    plan = make_plan(nodes=tuple(leecher(f"leecher-{index}") for index in range(1, 41)))
    out = io.StringIO()
    view = make_progress_view(terminal(out))
    view.start(plan, LabState(node.name for node in plan.nodes))
    view.stop()
    assert "and 26 more" in out.getvalue()
