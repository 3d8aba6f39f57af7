"""Run random scenarios and faults for hours, and stop where something grows.

``python -m tests.soak --hours 8``. One process plays random scenarios, one after the other. Beside them one lab with
one tracker is up all the time, and gets random faults. After each round memory, descriptors and threads of this
process and of the tracker are measured, and the bytes of the journals, of the lab's directory and of the engine
``local``'s registry, which has the nodes' output. The curve is ``build/soak.csv``.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING

from tests.soak.scenarios import render
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.selection import make_engine
from torrentnet.lab.errors import LabError
from torrentnet.lab.paths import runtime_folder
from torrentnet.lab.scenario.load import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable

STEADY = """\
about: The lab that is up all the time.
time_limit: 60s
files: {a.bin: {size: 256KiB}}
nodes:
  tracker: {tracker: {keepalive: 300ms, timeout: 1500ms}}
  seeder: {share: a.bin, count: 2}
  leecher: {get: a.bin, count: 3}
"""
WARM_UP = 60.0
"""Seconds whose values nothing is compared with."""
GROWTH = {"lab_kib": 1.25, "tracker_kib": 1.25, "lab_files": 1.1, "tracker_files": 1.1, "lab_threads": 1.1}
"""What may not grow: the factor between the first rounds after the warm-up and the last ones."""
SLACK = 8
"""Descriptors or threads by which a run may grow all the same; for memory, this many MiB."""
WINDOW = 3
OUT = Path("build") / "soak.csv"


def _end_and_start(end: Callable[[str], None], start: Callable[[str], None], node: str) -> None:
    end(node)
    start(node)


VERBS: dict[str, Callable[[Lab], object]] = {
    "kill": lambda lab: _end_and_start(lab.kill, lab.start, "leecher-1"),
    "stop": lambda lab: _end_and_start(lab.stop, lab.start, "leecher-2"),
    "restart": lambda lab: lab.restart("seeder-1"),
    "pause": lambda lab: lab.pause("leecher-3").end(),
    "partition": lambda lab: lab.partition("seeder", "leecher"),
    "isolate": lambda lab: lab.isolate("leecher-1"),
    "impair": lambda lab: lab.impair(between="all", loss="2%"),
    "heal": lambda lab: lab.heal(),
    "console": lambda lab: lab.console("tracker", "peers"),
    "run": lambda lab: lab.exec("leecher-1", "ls", "/data"),
}


def measure(lab: Lab, home: Path) -> dict[str, int]:
    """Return what is compared between rounds."""
    script = "grep -E 'VmRSS|Threads' /proc/1/status; ls /proc/1/fd | wc -l; du -sk /data"
    words = lab.exec("tracker", "sh", "-c", script).stdout.split()
    own = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return {
        "lab_kib": int(own["VmRSS"].split()[0]),
        "lab_files": len(os.listdir("/proc/self/fd")),
        "lab_threads": int(own["Threads"]),
        "tracker_kib": int(words[1]),
        "tracker_threads": int(words[4]),
        "tracker_files": int(words[5]),
        "tracker_disk_kib": int(words[6]),
        "home_kib": _size_kib(home),
        "registry_kib": _size_kib(runtime_folder()),
    }


def _size_kib(directory: Path) -> int:
    """Return the size of the files that can be seen below a directory."""
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total // 1024


def grown(rows: list[dict[str, float]]) -> list[str]:
    """Return what has grown since the warm-up."""
    rows = [row for row in rows if row["s"] > WARM_UP]
    if len(rows) < 2 * WINDOW:
        return []
    found = []
    for key, factor in GROWTH.items():
        first = max(row[key] for row in rows[:WINDOW])
        last = min(row[key] for row in rows[-WINDOW:])
        if last > first * factor and last - first > SLACK * (1024 if key.endswith("kib") else 1):
            found.append(f"{key} has grown from {first:g} to {last:g}")
    return found


def play(home: Path, engine: str, text: str) -> str:
    """Run one random scenario, and return its verdict."""
    path = home / "random.yaml"
    path.write_text(text, encoding="utf-8")
    with Lab(load_plan(path), make_engine(engine), home=home, runs=home / "runs") as lab:
        outcome = lab.play()
    shutil.rmtree(home / "runs" / "random", ignore_errors=True)
    return str(outcome.verdict)


def main() -> int:
    """Return 1 where something has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    rows: list[dict[str, float]] = []
    verdicts: dict[str, int] = {}
    began = time.monotonic()
    OUT.parent.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torrentnet-soak-")))
        steady = home / "steady.yaml"
        steady.write_text(STEADY, encoding="utf-8")
        lab = stack.enter_context(Lab(load_plan(steady), make_engine(options.engine), home=home, runs=home / "runs"))
        curve = stack.enter_context(OUT.open("w", encoding="utf-8", newline=""))
        writer: csv.DictWriter[str] | None = None
        problems: list[str] = []
        while time.monotonic() - began < options.hours * 3600 and not problems:
            for verb in generator.sample(sorted(VERBS), 4):
                # A verb that has nothing to change is no mistake here.
                with contextlib.suppress(LabError):
                    VERBS[verb](lab)
            lab.heal()
            try:
                verdict = play(home, options.engine, render(generator))
            except LabError as error:
                verdict = f"error: {str(error)[:200]}"
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            row = {"s": round(time.monotonic() - began, 1), **measure(lab, home)}
            rows.append(row)
            if writer is None:
                writer = csv.DictWriter(curve, list(row))
                writer.writeheader()
            writer.writerow(row)
            curve.flush()
            problems = grown(rows)
    report(rows, verdicts)
    for problem in problems:
        print(problem)
    return bool(problems)


def report(rows: list[dict[str, float]], verdicts: dict[str, int]) -> None:
    """Print each curve's beginning, end and slope."""
    print(f"{len(rows)} rounds in {rows[-1]['s']:.0f} s, seed in the command; the curve is {OUT}")
    print("verdicts:", ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items())))
    late = [row for row in rows if row["s"] > WARM_UP] or rows
    print(f"{'':20} {'after 1 min':>12} {'at the end':>12} {'per hour':>12}")
    for key in rows[0]:
        if key != "s":
            slope = linear_regression([row["s"] for row in late], [row[key] for row in late]).slope if late[1:] else 0.0
            print(f"{key:20} {late[0][key]:12g} {late[-1][key]:12g} {slope * 3600:12.1f}")


if __name__ == "__main__":
    sys.exit(main())
