"""No step of the time of day, and no lab that stands still, makes a wrong verdict.

Nobody sets the clock of the machine that runs the tests: the lab, its supervisor and its nodes get another one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.integration.engines import DOCKER, LOCAL, Kind, on
from tests.integration.helpers import ROOT, SCENARIOS, Running

if TYPE_CHECKING:
    from pathlib import Path

CLOCKS = str(SCENARIOS / "clocks.yaml")
FIRST_LINE = "early completed"
STEPS = [(0.5, -2.0), (1.0, 30.0), (2.0, -3600.0), (3.2, 7200.0)]
"""Seconds after t = 0, and by how much the time of day is set."""
STEPPED_TIME = """
import pathlib, time
real, file, zero = time.time, pathlib.Path(__file__).with_name("zero"), []
def stepped():
    if not zero and file.exists():
        zero.append(float(file.read_text()))
    return real() + shift(time.monotonic())
def shift(moment):
    return sum(size for at, size in STEPS if zero and moment - zero[0] > at)
time.time = stepped
"""
STEPPED_LAB = """
import os, stepped_time, subprocess, time
import torrentnet.lab.engines.steady as steady, torrentnet.lab.run.lab_state as lab_state
made, start = lab_state.LabClock.__init__, subprocess.Popen.__init__
def begin(*arguments):
    made(*arguments)
    stepped_time.file.with_suffix(".new").write_text(str(time.monotonic()))
    stepped_time.file.with_suffix(".new").rename(stepped_time.file)
def start_supervisor(self, argv, *arguments, env=None, **options):
    if SUPERVISOR in argv:
        argv = ["stepped_supervisor" if word == SUPERVISOR else word for word in argv]
        env = {**env, "PYTHONPATH": os.pathsep.join([str(stepped_time.file.parent), env["PYTHONPATH"]])}
    start(self, argv, *arguments, env=env, **options)
def place(self, stamp, not_before):
    # What a Docker Engine writes whose machine's time of day is set.
    moment = stamp - stepped_time.real() + time.monotonic()
    return placed(self, stamp + stepped_time.shift(moment), not_before)
SUPERVISOR = "torrentnet.lab.engines.local.supervisor.main"
lab_state.LabClock.__init__ = begin
subprocess.Popen.__init__ = start_supervisor
placed, steady.EngineStamps.place = steady.EngineStamps.place, place
"""
STEPPED_SUPERVISOR = """
import runpy, stepped_time
runpy.run_module("torrentnet.lab.engines.local.supervisor.main", run_name="__main__", alter_sys=True)
"""


def result(home: Path) -> dict[str, Any]:
    """Return the result of the last run."""
    document = json.loads((home / "runs/clocks/latest/result.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


@on(DOCKER, LOCAL)
def test_steps_of_the_time_of_day_change_no_verdict(engine: Kind, home: Path, tmp_path: Path) -> None:
    sources = {"stepped_time": STEPPED_TIME, "sitecustomize": STEPPED_LAB, "stepped_supervisor": STEPPED_SUPERVISOR}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source.replace("STEPS", repr(STEPS)), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with Running(home, "run", CLOCKS, "--set", "in_time=20s", env={**engine.settings, "PYTHONPATH": path}) as lab:
        assert lab.wait() == 0, lab.text
    document = result(home)
    assert document["verdict"] == "passed"
    steps = [note for note in document["notes"] if "the time of day was set" in note]
    assert [note.split(" at ")[0] for note in steps] == [
        "the time of day was set 2.00 s back",
        "the time of day was set 30.00 s forward",
        "the time of day was set 3600.00 s back",
        "the time of day was set 7200.00 s forward",
    ]
    rows = [json.loads(row) for row in (home / "runs/clocks/latest/events.jsonl").read_text("utf-8").splitlines()]
    times = [row["t"] for row in rows if "t" in row]
    assert times == sorted(times)
    assert times[-1] < 60
    told = [f"{row['node']} {row['event']} {list(row.get('fields', {}).values())[:1]}" for row in rows]
    (kill,) = (number for number, text in enumerate(told) if text == "lab begun ['kill seeder-1']")
    assert "lab node ['seeder-1']" in told[kill:]
    assert told[kill:].count("lab applied ['kill seeder-1']") == 1


@on(LOCAL)
def test_a_lab_that_stood_still_is_not_judged(engine: Kind, home: Path) -> None:
    with Running(home, "run", CLOCKS, env=engine.settings) as lab:
        lab.wait_line(FIRST_LINE)
        lab.signal(signal.SIGSTOP)
        # The lab cannot tell when this is over; the leecher that it has to start would have been in time.
        time.sleep(6.0)
        lab.signal(signal.SIGCONT)
        assert lab.wait() == 3, lab.text
    document = result(home)
    assert document["verdict"] == "not judged"
    stood_still = re.search(r"the lab's own process stood still for ([\d.]+) s", document["error"])
    assert stood_still is not None, document["error"]
    assert float(stood_still[1]) >= 6.0
    assert "what failed may have failed for that reason" in lab.text
    assert not engine.left_over(home)
