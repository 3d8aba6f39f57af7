"""The commands for the lab that is up: ``attach``, ``logs``, ``status``. Each answers with an exit status."""

from __future__ import annotations

import difflib
import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from torrentnet.lab.cli.output import print_json, print_table
from torrentnet.lab.cli.progress import printable
from torrentnet.lab.cli.status import LabMonitor, fault_lines, natural_key, plain_lines, rule_lines, show_live
from torrentnet.lab.engines import make_engine
from torrentnet.lab.errors import EXIT_OK, EngineError, UsageError
from torrentnet.lab.events import show_time
from torrentnet.lab.home import lab_store
from torrentnet.lab.home.paths import lab_home
from torrentnet.lab.run.interrupts import Interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import LogLine


def _adopt_running_lab() -> tuple[lab_store.RunningLab, Engine]:
    up = lab_store.find_current_lab(lab_home())
    if up is None:
        raise UsageError("no lab is up here", hint="`make up scenario=three_seeders` brings one up")
    engine = make_engine(up.engine)
    try:
        engine.check()
        engine.adopt(up.project)
    except BaseException:
        engine.close()
        raise
    return up, engine


def _require_node(engine: Engine, node: str) -> str:
    if node not in engine.places:
        close = difflib.get_close_matches(node, engine.places, 1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise UsageError(f"there is no node `{node}`", hint=f"{meant}there are: {', '.join(sorted(engine.places))}")
    return node


def attach(node: str, words: Sequence[str], *, as_json: bool) -> int:
    """Give the terminal to a node's command line; with words, give it that one command."""
    if as_json and not words:
        raise UsageError("a prompt cannot be JSON", hint="give it a command: `torrentnet attach --json NODE status`")
    _, engine = _adopt_running_lab()
    try:
        known = _require_node(engine, node)
        if as_json:
            answer = engine.exec(known, ["console", *words])
            print_json({"node": known, "command": list(words), **asdict(answer)})
            return answer.status
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        argv = engine.attach_command(known, ["console", *words], terminal=terminal)
    finally:
        engine.close()
    return _replace_process(argv)


def logs(nodes: Sequence[str], *, follow: bool, as_json: bool) -> int:
    """Print what nodes said."""
    if as_json and follow:
        raise UsageError("`--json` is one document and `--follow` has no end", hint="take one of them out")
    up, engine = _adopt_running_lab()
    try:
        known = [_require_node(engine, node) for node in nodes]
        if as_json:
            return _print_logs_json(up, engine, known or sorted(engine.places, key=natural_key))
        argv = engine.logs_command(known, follow=follow)
    finally:
        engine.close()
    return _replace_process(argv)


def _print_logs_json(up: lab_store.RunningLab, engine: Engine, nodes: Sequence[str]) -> int:
    lines: dict[str, list[dict[str, object]]] = {node: [] for node in nodes}

    def keep(line: LogLine) -> None:
        if line.node in lines:
            lines[line.node].append({"time": show_time(line.time), "text": line.text})

    with LabMonitor(up, engine, lab_home(), keep) as following:
        following.settle()
    print_json({**asdict(up), "logs": lines})
    return EXIT_OK


def _replace_process(argv: Sequence[str]) -> int:
    """Give this process to a command: the terminal, its signals and the exit status are then the command's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(argv[0], list(argv))
    except OSError as error:
        raise EngineError(f"{argv[0]} cannot be run: {error.strerror}") from error


def status(*, watch: bool, as_json: bool) -> int:
    """Show the nodes of the lab that is up, or whose scenario happens just now."""
    if watch and as_json:
        raise UsageError("`--json` is one document and `--watch` has no end", hint="take one of them out")
    up, engine = _adopt_running_lab()
    try:
        with LabMonitor(up, engine, lab_home()) as following:
            following.settle()
            if watch:
                return _watch_status(following)
            following.mend()
            rows, faults = following.rows(), following.faults()
    finally:
        engine.close()
    if as_json:
        nodes = [{**asdict(row), "progress": row.progress} for row in rows]
        print_json({**asdict(up), "nodes": nodes, "faults": [asdict(fault) for fault in faults]})
        return EXIT_OK
    print(f"{up.scenario} is up as {up.project}, record: {up.record}")
    print_table(
        ("node", "address", "state", "pieces", "from"),
        [(row.node, row.address, row.life, row.progress, row.source) for row in rows],
    )
    for line in (*fault_lines(faults, time.time()), *rule_lines(rows)):
        print(printable(line))
    return EXIT_OK


def _watch_status(following: LabMonitor) -> int:
    console = Console()
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            show_live(following, console)
        else:
            for line in plain_lines(following):
                print(printable(line), flush=True)
    except Interrupted:
        # Ctrl-C is how one ends it.
        return EXIT_OK
    print(f"{following.up.scenario} is gone")
    return EXIT_OK
