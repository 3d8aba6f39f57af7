"""Commands for a lab that is up: ``attach``, ``logs``, ``status``.

They work on the lab that was left up, or on one whose scenario is running. Each function returns an exit status.

Tested by tests/unit/lab/cli/test_status.py and tests/unit/lab/cli/test_app.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Console

from torrentnet.lab.cli.output import print_json, print_table, print_text, printable
from torrentnet.lab.cli.status import LabMonitor, fault_lines, natural_key, plain_lines, rule_lines, show_live
from torrentnet.lab.engines.selection import make_engine
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError, UsageError
from torrentnet.lab.home import RunningLab, find_current_lab
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_home
from torrentnet.lab.run.interrupts import Interrupted
from torrentnet.runtime.events import format_timestamp
from torrentnet.runtime.process import EXIT_OK, EXIT_PIPE_CLOSED
from torrentnet.runtime.standard_streams import reader_has_gone
from torrentnet.runtime.suggestions import closest
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import LogLine
    from torrentnet.lab.home import ActiveFault


OWN_TERMINAL: Final = "attach"
"""Our observer's command that connects a person with its program."""
EVENT_TIME: Final = re.compile(r"(?:^|(?<=[ |]))(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)(?= [a-z_])")
"""The time of an event, at the beginning of a node's line."""
LINE_LIMIT: Final = 64 * 1024
"""Bytes of a line that are printed at once."""


def attach(node: str, words: Sequence[str], *, as_json: bool) -> int:
    """Connect the terminal to a node's command line; with words, run that one command."""
    if as_json and not words:
        raise UsageError("a prompt cannot be JSON", hint="add a command: `torrentnet attach --json NODE status`")
    running, engine = adopt_running_lab()
    with closing(engine):
        require_node(engine, node)
        _require_running(engine, node)
        if as_json:
            answer = engine.exec(node, ["console", *words])
            print_json({"node": node, "command": list(words), **asdict(answer)})
            return answer.status
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        if terminal and not words and engine.runs_foreign(node):
            words = [OWN_TERMINAL]  # the program's, in which it prints and reads
        if running.zero and any(word.endswith("logs") for word in words) and "--json" not in words:
            # Beside the lists of times in UTC; not a part of them.
            print(f"t = 0 was at {running.zero}", file=sys.stderr)
        argv = engine.attach_command(node, ["console", *words], terminal=terminal)
        environment = engine.command_environment()
    return _replace_process(argv, environment)


def logs(nodes: Sequence[str], *, follow: bool, as_json: bool) -> int:
    """Print what nodes have printed."""
    if as_json and follow:
        raise UsageError("`--json` is one document, and `--follow` has no end", hint="remove one of them")
    running, engine = adopt_running_lab()
    with closing(engine):
        for node in nodes:
            require_node(engine, node)
        if as_json:
            return _print_logs_json(running, engine, nodes or sorted(engine.locations, key=natural_key))
        argv = engine.logs_command(nodes, follow=follow)
        environment = engine.command_environment()
    return _print_escaped(argv, environment, running.zero)


def status(*, watch: bool, as_json: bool) -> int:
    """Show the nodes."""
    if watch and as_json:
        raise UsageError("`--json` is one document, and `--watch` has no end", hint="remove one of them")
    running, engine = adopt_running_lab()
    with closing(engine), LabMonitor(running, engine, lab_home()) as monitor:
        monitor.settle()
        if watch:
            return _watch_status(monitor)
        monitor.restore_rules()
        rows, faults = monitor.rows(), monitor.faults()
    if as_json:
        nodes = [{**asdict(row), "progress": row.progress} for row in rows]
        print_json({**asdict(running), "nodes": nodes, "faults": [_fault_row(fault) for fault in faults]})
        return EXIT_OK
    print_text(f"{running.scenario} is up as {running.project}, record: {running.record}")
    if running.zero:
        print_text(f"t = 0 was at {running.zero}")
    print_table(
        ("node", "address", "state", "pieces", "from"),
        [(row.node, row.address, row.life, row.progress, row.source) for row in rows],
    )
    for line in (*fault_lines(faults, time.monotonic()), *rule_lines(rows)):
        print_text(line)
    return EXIT_OK


def _fault_row(fault: ActiveFault) -> dict[str, object]:
    """Return a fault for programs, which expect the time of day."""
    return {**fault.row(), "since": STEADY.time_of_day(STEADY.of_monotonic(fault.since))}


def adopt_running_lab() -> tuple[RunningLab, Engine]:
    """Return the lab that is up here, and its engine. Raises LabError."""
    running = find_current_lab(lab_home())
    if running is None:
        raise UsageError("no lab is up here", hint=f"`{typed_command('up', 'three_seeders')}` brings one up")
    engine = make_engine(running.engine)
    try:
        engine.check()
        engine.adopt(running.project)
    except BaseException:
        engine.close()
        raise
    return running, engine


def require_node(engine: Engine, node: str) -> None:
    """Raise UsageError for a name that no node has."""
    if node not in engine.locations:
        close = closest(node, engine.locations)
        meant = f"did you mean `{close}`? " if close else ""
        raise UsageError(
            f"there is no node `{node}`", hint=f"{meant}the nodes are: {', '.join(sorted(engine.locations))}"
        )


def _require_running(engine: Engine, node: str) -> None:
    state = engine.state(node)
    if state.status is NodeStatus.RUNNING:
        return
    what = {
        NodeStatus.CREATED: "has not been started",
        NodeStatus.PAUSED: "is paused and answers nothing",
        NodeStatus.EXITED: f"has ended with status {state.exit_code}",
    }.get(state.status, "is gone")
    raise UsageError(
        f"{node} {what}, so that it has no command line now",
        hint=f"`{typed_command('logs', node)}` shows what it printed, `{typed_command('status')}` which nodes run",
    )


def _print_logs_json(running: RunningLab, engine: Engine, nodes: Sequence[str]) -> int:
    lines: dict[str, list[dict[str, object]]] = {node: [] for node in nodes}

    def collect(line: LogLine) -> None:
        if line.node in lines:
            lines[line.node].append({"time": format_timestamp(STEADY.time_of_day(line.time)), "text": line.text})

    with LabMonitor(running, engine, lab_home(), collect) as monitor:
        monitor.settle()
    print_json({**asdict(running), "logs": lines})
    return EXIT_OK


def _watch_status(monitor: LabMonitor) -> int:
    console = Console()
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            show_live(monitor, console)
        else:
            for line in plain_lines(monitor, unread=lambda: reader_has_gone(sys.stdout)):
                print(printable(line), flush=True)
            if reader_has_gone(sys.stdout):
                return EXIT_PIPE_CLOSED
    except Interrupted:
        # Ctrl-C is the normal end.
        return EXIT_OK
    print(f"{monitor.running.scenario} is gone")
    return EXIT_OK


def _print_escaped(argv: Sequence[str], environment: Mapping[str, str], zero: str) -> int:
    """Print what a command prints, and return its exit status.

    Beside the time of each event stands its time after ``zero``, t = 0 in UTC. Nodes may print anything, so what would
    control the terminal is escaped. Ends when nobody reads any more.
    """
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=dict(environment)) as child:
        assert child.stdout is not None
        try:
            while line := child.stdout.readline(LINE_LIMIT):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                sys.stdout.write(escape_controls(EVENT_TIME.sub(partial(_with_t, zero), text, 1)) + "\n")
                sys.stdout.flush()
                if reader_has_gone(sys.stdout):
                    child.terminate()
                    return EXIT_PIPE_CLOSED
        except BaseException:
            child.terminate()
            raise
    return child.returncode


def _with_t(zero: str, found: re.Match[str]) -> str:
    """Return an event's time in UTC, with its seconds after t = 0 beside it."""
    try:
        t = (datetime.fromisoformat(found[1]) - datetime.fromisoformat(zero)).total_seconds()
    except (ValueError, TypeError):
        return found[0]
    return f"{found[0]} {t:8.3f} s "


def _replace_process(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Replace this process by a command.

    The command inherits the terminal and sets the exit status.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(argv[0], list(argv), environment)
    except OSError as error:
        raise EngineError(f"{argv[0]} cannot be run: {error.strerror}") from error
