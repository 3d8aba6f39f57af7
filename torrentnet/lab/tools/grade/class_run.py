"""Grading of a class: the submissions in turn, and the reference between them.

The reference is a submission that is known to be right. It must get all points before the first submission, after each
few, and after the last one. Otherwise the lab was ill, and what it graded since then counts for nothing.

Tested by tests/unit/lab/tools/grade/test_class_run.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.lab.errors import LabError
from torrentnet.lab.tools.grade.grader import SubmissionGrader, marks_without_a_run
from torrentnet.lab.tools.grade.marks import State
from torrentnet.lab.tools.grade.results import SubmissionResult
from torrentnet.lab.tools.sweep import format_estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torrentnet.lab.tools.grade.marks import Attempt
    from torrentnet.lab.tools.grade.results import GradingKey, ResultStore
    from torrentnet.lab.tools.grade.rubric import Experiment, Rubric

REFERENCE_EVERY: Final = 10
"""Submissions between two runs of the reference."""
AT_ONCE: Final = 2
"""Submissions in progress: while the last experiment of one runs, the next one begins."""


class Prepared(Protocol):
    """A submission that can be run: unpacked, detected, and its image built."""

    name: str
    error: str
    """Why it cannot be run; empty where it can."""

    @property
    def key(self) -> GradingKey:
        """What its marks depend on."""

    def play(self, experiment: Experiment, number: int) -> Attempt:
        """Run an experiment once."""

    def close(self) -> None:
        """Remove what was unpacked."""


@dataclass(slots=True)
class ClassRun:
    """Grades submissions by a rubric; :meth:`run` returns their results."""

    rubric: Rubric
    store: ResultStore
    prepare: Callable[[str], Prepared]
    """Prepares the submission of a name; raises nothing for a faulty one."""
    jobs: int
    """Labs at once."""
    print_line: Callable[[str], None]
    stop: Callable[[], None]
    """Ends the labs that are up; called where the grading does not come to its end."""
    clock: Callable[[], float] = time.monotonic
    results: dict[str, SubmissionResult] = field(default_factory=dict)
    """Of every submission that is graded so far, by name."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: int = 0

    def run(self, names: Sequence[str], reference: str | None) -> None:
        """Grade the submissions that have no result yet.

        Raises LabError where the reference does not get all points: the results since its last success are removed.
        """
        with ThreadPoolExecutor(self.jobs, "lab") as labs, self._ending_labs():
            waiting = [name for name in names if not self._is_done(name)]
            if kept := len(names) - len(waiting):
                self.print_line(f"{kept} of {len(names)} submissions are graded already")
            if not waiting and all(result.confirmed for result in self.results.values()):
                return
            if reference is not None:
                self._check_reference(reference, labs)
                self._confirm()
            began = self.clock()
            for first in range(0, len(waiting), REFERENCE_EVERY):
                batch = waiting[first : first + REFERENCE_EVERY]
                with ThreadPoolExecutor(min(AT_ONCE, self.jobs), "submission") as pool, self._ending_labs():
                    for name, result in pool.map(lambda name: (name, self._grade(name, labs)), batch):
                        self._tell(name, result, len(waiting), self.clock() - began)
                if reference is not None:
                    self._check_reference(reference, labs)
                self._confirm()

    @contextlib.contextmanager
    def _ending_labs(self) -> Iterator[None]:
        """End the labs where the block fails, before its threads are waited for."""
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def _is_done(self, name: str) -> bool:
        with contextlib.closing(self.prepare(name)) as prepared:
            result = self.store.load(name, prepared.key)
        if result is not None:
            self.results[name] = result
        return result is not None

    def _grade(self, name: str, labs: ThreadPoolExecutor) -> SubmissionResult:
        began = self.clock()
        with contextlib.closing(self.prepare(name)) as prepared:
            if prepared.error:
                marks = marks_without_a_run(self.rubric, prepared.error)
            else:
                marks = SubmissionGrader(self.rubric, prepared.play, labs.submit).grade()
        result = SubmissionResult(name, prepared.key, marks, prepared.error, round(self.clock() - began, 1))
        with self._lock:
            self.results[name] = result
            self.store.save(result)
        return result

    def _check_reference(self, name: str, labs: ThreadPoolExecutor) -> None:
        self.print_line("the reference is graded, which must get all points")
        with contextlib.closing(self.prepare(name)) as prepared:
            if prepared.error:
                raise LabError(f"the reference cannot be run: {prepared.error}")
            marks = SubmissionGrader(self.rubric, prepared.play, labs.submit).grade()
        lost = [one for one in marks if one.state is not State.FULL or one.unsteady]
        if not lost:
            self.print_line("the reference has all points")
            return
        discarded = [result for result in self.results.values() if not result.confirmed]
        for result in discarded:
            self.store.discard(result)
            del self.results[result.name]
        first = lost[0]
        since = f"; what was graded since it last did is not kept ({len(discarded)})" if discarded else ""
        raise LabError(
            f"the reference did not get all points{since}: {first.key}: {first.saw or first.state}",
            hint="the lab is ill: close what else runs on this machine, or use fewer labs at once with `--jobs 1`; "
            "the same command goes on from there",
        )

    def _confirm(self) -> None:
        for name, result in self.results.items():
            if not result.confirmed:
                self.results[name] = self.store.confirm(result)

    def _tell(self, name: str, result: SubmissionResult, count: int, took: float) -> None:
        self._done += 1
        text = f"{self._done:3} of {count}  {name}: {result.points:g} of {self.rubric.points:g} points"
        if result.error:
            text += f", {result.error}"
        if result.unsteady:
            text += f", unsteady: {', '.join(result.unsteady)}"
        if result.not_judged:
            text += f", look yourself at {', '.join(result.not_judged)}"
        left = count - self._done
        rest = f"; about {format_estimate(took / self._done * left)} left" if left else ""
        self.print_line(f"{text} ({format_estimate(result.seconds)}{rest})")
