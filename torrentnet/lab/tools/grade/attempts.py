"""One run of an experiment with a submission: a process of its own.

What a submission does to its lab cannot reach the grader, and a lab that is killed is removed by the next one.

Tested by tests/integration/test_grade.py.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import LabError
from torrentnet.lab.tools.grade.load_rubric import scenario_text
from torrentnet.lab.tools.grade.marks import Answer, Attempt, Kind
from torrentnet.lab.verdict.outcome import Verdict
from torrentnet.runtime.process import EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    from torrentnet.lab.tools.grade.rubric import Experiment

MAX_LATE: Final = 0.25
"""Seconds by which an event may be late; a later one makes the attempt void."""
SETUP: Final = 300.0
"""Seconds that an attempt may take beside its scenario's time limit: image, nodes, removal."""
END_PATIENCE: Final = 30.0
"""Seconds in which an interrupted attempt must have removed its lab."""
MAX_OUTPUT: Final = 16 * 2**20
"""Bytes of a result that are read."""


@dataclass(slots=True)
class AttemptRunner:
    """Runs attempts, and ends those in progress."""

    engine: str
    trust: bool
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(self, experiment: Experiment, submission: Path | str, directory: Path, seed: int) -> Attempt:
        """Play an experiment, and return what was measured.

        ``directory`` receives the scenario and the run's record. Raises LabError where the grader itself cannot go on,
        and where it has been stopped.
        """
        began = time.monotonic()
        directory.mkdir(parents=True, exist_ok=True)
        scenario = directory / f"{experiment.name}.yaml"
        scenario.write_text(scenario_text({**experiment.document, "seed": str(seed)}), encoding="utf-8")
        words = [sys.executable, "-m", "torrentnet.lab", "run", str(scenario), "--json"]
        words += ["--runs", str(directory / "runs"), "--engine", self.engine]
        words += ["--tracker", str(submission), "--peers", str(submission), "--for-any"]
        words += ["--trust"] if self.trust else []
        status, output = self._call(words, directory / "output.txt", experiment.plan.time_limit + SETUP)
        return _attempt(experiment, status, output, directory, time.monotonic() - began)

    def _call(self, words: list[str], errors: Path, timeout: float) -> tuple[int, bytes]:
        with errors.open("ab") as stderr:
            with self._lock:
                if self._stopped:
                    raise LabError("the grading was stopped")
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
                )
                self._running.add(process)
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                output = self._end(process)
            finally:
                with self._lock:
                    self._running.discard(process)
        if self._stopped:
            raise LabError("the grading was stopped")
        return process.returncode, output[:MAX_OUTPUT]

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> bytes:
        """Let an attempt remove its lab and end; kill it where it does not."""
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=END_PATIENCE)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]

    def stop(self) -> None:
        """End every attempt in progress, and let no other one begin.

        Their labs remove themselves.
        """
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + END_PATIENCE
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
                continue
            process.kill()


def _attempt(experiment: Experiment, status: int, output: bytes, directory: Path, seconds: float) -> Attempt:
    try:
        document = json.loads(output)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "verdict" not in document:
        error = document.get("error") if isinstance(document, dict) else None
        error = str(error) if error else f"the lab ended with status {status}: {_last_line(directory / 'output.txt')}"
        return Attempt(Kind.FAILED if status == EXIT_USAGE else Kind.VOID, error=error, seconds=seconds)
    record = _record(directory, document)
    verdict, error = document["verdict"], str(document.get("error") or "")
    if verdict in {Verdict.NOT_JUDGED, Verdict.ERROR, Verdict.INTERRUPTED}:
        return Attempt(Kind.VOID, error=error or str(verdict), record=record, seconds=seconds)
    triggered = {event.index for event in experiment.plan.events if event.when is not None}
    if late := late_events(document, triggered):
        return Attempt(Kind.VOID, error=f"the lab was late: {late}", record=record, seconds=seconds)
    answers = read_answers(document)
    if answers and len(answers) != len(experiment.document["expect"]):
        return Attempt(Kind.VOID, error="the lab has judged something else", record=record, seconds=seconds)
    if not answers:
        return Attempt(Kind.FAILED, error=error or "the nodes did not come up", record=record, seconds=seconds)
    return Attempt(Kind.JUDGED, answers, error, record, seconds)


def late_events(document: Mapping[str, Any], triggered: Container[int]) -> str:
    """Name an event that began too late, by more than MAX_LATE; else return nothing.

    The starts of many nodes at once take their time, and are no events of the timeline.

    ``triggered`` are the numbers of the events that wait for a condition: these have no planned time.
    """
    for row in document.get("timeline") or ():
        if row["event"] is None or row["event"] in triggered:
            continue
        if (late := row["began"] - row["planned"]) > MAX_LATE:
            return f"`{row['text']}` began {late:.2f} s after its time"
    return ""


def read_answers(document: Mapping[str, Any]) -> tuple[tuple[Answer, ...], ...]:
    """Return what a result document says of each expectation."""
    return tuple(
        tuple(
            Answer(str(one["node"]), bool(one["passed"]), str(one["measured"]), bool(one.get("judged", True)))
            for one in expectation["answers"]
        )
        for expectation in document.get("expectations") or ()
    )


def _record(directory: Path, document: Mapping[str, Any]) -> str:
    runs = directory / "runs" / str(document.get("scenario", ""))
    found = sorted(path for path in runs.glob("*") if path.is_dir() and not path.is_symlink())
    return str(found[-1]) if found else ""


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "it printed nothing"
    return "it printed nothing"
