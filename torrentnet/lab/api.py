"""Labs from Python: the interface for tests, notebooks and the command line.

::

    with torrentnet.lab.open("scenarios/three_seeders.yaml") as lab:
        lab.kill("seeder-1")                       # the scenario's verbs, by hand
        lab.wait_event("tracker", "forgotten", peer="seeder-1")
        with lab.pause("seeder-2"):
            print(lab.console("tracker", "peers").output)

Inside the block ``lab.play()`` runs the scenario's own timeline and judges its expectations.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.selection import DEFAULT, make_engine, require_engine
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import LabError, NotJudgedError
from torrentnet.lab.home import take_down_running_lab
from torrentnet.lab.paths import lab_home, scenarios_folder
from torrentnet.lab.report.result import write_reports
from torrentnet.lab.run.interrupts import Interrupted
from torrentnet.lab.run.lifecycle import LabLifecycle
from torrentnet.lab.run.node_start import NodeStartError
from torrentnet.lab.run.timeline.timeline import Timeline
from torrentnet.lab.scenario.load import find_plan
from torrentnet.lab.scenario.plan.events import NodeTrigger
from torrentnet.lab.scenario.plan.expectations import Severity
from torrentnet.lab.scenario.programs.given import parse_programs
from torrentnet.lab.verdict.checks import CheckContext
from torrentnet.lab.verdict.judge import judge
from torrentnet.lab.verdict.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.timeline.schedule import AppliedEvent, ScheduledItem
    from torrentnet.lab.run.view import LabView
    from torrentnet.lab.verdict.outcome import ExpectationResult

MAX_TOUCHES: Final = 8
"""Deeds by hand that a note names."""
MAX_QUOTED_NODES: Final = 4
"""Nodes whose last lines are kept for the report of a failure."""


@contextlib.contextmanager
def open_lab(
    scenario: str | Path,
    *,
    settings: Mapping[str, object] | None = None,
    programs: Mapping[str, str | Path] | None = None,
    tracker: str | Path | None = None,
    peers: str | Path | None = None,
    trust: bool = False,
    engine: str | Engine = DEFAULT,
    keep: bool | Callable[[], bool] = False,
    home: Path | None = None,
    runs: Path | None = None,
    view: LabView | None = None,
) -> Iterator[Lab]:
    """Bring up a scenario's lab for a ``with`` block; remove it at the end.

    The tracker and the initial seeds are up in the block. Everything is removed at its end. The scenario's timeline
    does not run by itself: call ``lab.play()`` in the block, or use the lab's verbs.

    ``scenario`` is a name or the path of a file; ``settings`` are values for its parameters. ``programs`` says where
    programs of the scenario are, by their names: folders, archives, or ``image:NAME``; ``tracker`` and ``peers`` are
    programs in the place of our own. With ``trust`` the engine ``local`` runs them too, unconfined.

    ``engine`` is a name, or an engine object, which is closed at the end. With ``keep`` (a flag, or a function that is
    called at the end) the lab stays up, as with ``torrentnet up``; a lab that is up already is taken down first.
    ``home`` is the lab's home directory (TORRENTNET_HOME by default), ``runs`` the directory of records (``runs`` in
    ``home`` by default), and ``view`` shows progress (nothing is shown by default).

    Raises UsageError for an unknown scenario, program or engine, ScenarioError where the scenario is wrong, EngineError
    where the engine is missing or fails, NodeStartError where the tracker or an initial seed does not come up.
    """
    given = parse_programs(
        [f"{name}={path}" for name, path in (programs or {}).items()],
        None if tracker is None else str(tracker),
        None if peers is None else str(peers),
    )
    values = {name: str(value) for name, value in (settings or {}).items()}
    plan = find_plan(scenario, scenarios_folder(), values, given)
    made = make_engine(engine) if isinstance(engine, str) else engine
    made.trusted = made.trusted or trust
    # Checked before anything is written: without an engine there is nothing to record.
    checked = require_engine(made)
    if keep:
        take_down_running_lab(home or lab_home(), checked.name, lambda _: None)
    with Lab(plan, checked, mode=Mode.UP if keep else Mode.RUN, home=home, runs=runs, view=view) as lab:
        try:
            yield lab
        finally:
            if keep() if callable(keep) else keep:
                lab.keep()


NOTHING_EXPECTED: Final = (
    "the scenario has no `expect`, so that nothing was judged; add expectations, or `expect: none` for a run that is"
    " to pass without any"
)


class Lab(LabLifecycle):
    """A lab for one plan on one engine, with the scenario's verbs as methods.

    Entering the lab brings the nodes up.
    """

    outcome: Outcome | None = None
    """The scenario's outcome; None until there is one."""
    _played: Timeline | None = None
    _touches: tuple[str, ...] = ()
    """What somebody has done by hand while the run was being judged."""

    def touch(self, text: str) -> bool:
        """Note what somebody has done by hand; return whether the verdict says so."""
        if self.outcome is None:
            self._touches += (text,)
        return self.outcome is None

    def play(self) -> Outcome:
        """Run the scenario's timeline and judge its expectations.

        Writes ``result.json`` and ``junit.xml``.
        """
        clock = self._require_clock()
        timeline = self._timeline = self._played = Timeline(
            self.plan,
            self.engine,
            clock,
            self._take_applied,
            on_begun=self._take_begun,
            lab_state=self.nodes,
            faults=self.faults,
        )
        context = CheckContext(
            engine=self.engine,
            lab_state=self.nodes,
            clock=clock,
            timeline=timeline,
            nodes=self._nodes,
            hashes=self.hashes,
            sizes=self.sizes,
            events={event.index: event.text for event in self.plan.events},
            time_limit=self.plan.time_limit,
        )
        with self._phase("run"):
            timeline.start()
            results = judge(self.plan, context, timeline)
            self._end_timeline()
            timeline.record_unapplied()
            # What is missed after the last look can no longer be told from what did not happen.
            self.nodes.require_complete()
        self._view.stop()
        applied = tuple(timeline.applied)
        failed = [one.node for result in results if result.failed for one in result.nodes if not one.passed]
        failed += [node for event in applied if event.error for node in event.nodes]
        verdict, error = Verdict.PASSED, ""
        unknown = [result for result in results if not result.judged and result.plan.severity is Severity.FAILURE]
        if failed or any(event.error for event in applied):
            verdict, error = Verdict.FAILED, self._blind_trigger()
            if error:
                verdict = Verdict.NOT_JUDGED
        elif unknown:
            verdict, error = Verdict.NOT_JUDGED, unknown[0].decisive.measured
        elif not self.plan.judged:
            verdict, error = Verdict.NOT_JUDGED, NOTHING_EXPECTED
        return self._finish(verdict, results=results, timeline=applied, error=error, quoted=failed)

    def _blind_trigger(self) -> str:
        """Return why the timeline may have waited in vain; empty where it has not.

        An event may wait for a node whose lines were lost.
        """
        losses = self.nodes.losses
        triggers = [event.when for event in self.plan.events if isinstance(event.when, NodeTrigger)]
        return next((losses[node] for trigger in triggers for node in trigger.nodes if node in losses), "")

    def _end_early(self, error: BaseException) -> None:
        if self.outcome is not None:
            return
        quoted: tuple[str, ...] = ()
        match error:
            case NotJudgedError():
                verdict, text = Verdict.NOT_JUDGED, error.message
            case NodeStartError():
                verdict, text, quoted = Verdict.FAILED, error.message, error.nodes
            case LabError():
                verdict, text = Verdict.ERROR, error.message
            case Interrupted():
                verdict, text = Verdict.INTERRUPTED, f"interrupted by {error.signal.name}"
            case _:
                return
        # Told only now, and as far as it can be told: the error itself propagates.
        with contextlib.suppress(NotJudgedError):
            self._finish(verdict, timeline=self._applied(), error=text, quoted=quoted)

    def _applied(self) -> tuple[AppliedEvent, ...]:
        return tuple(self._played.applied) if self._played is not None else ()

    def _finish(
        self,
        verdict: Verdict,
        *,
        results: tuple[ExpectationResult, ...] = (),
        timeline: tuple[AppliedEvent, ...] = (),
        error: str = "",
        quoted: Iterable[str] = (),
    ) -> Outcome:
        """Record the outcome.

        ``quoted`` names the nodes whose last lines help to understand a failure.
        """
        nodes = list(dict.fromkeys(quoted))[:MAX_QUOTED_NODES]
        zero = self.clock.epoch if self.clock is not None else STEADY.now()
        self._watch.look()
        standstills = self._watch.standstills(zero)
        if verdict is Verdict.FAILED and standstills:
            verdict = Verdict.NOT_JUDGED
            error = f"{'; '.join(standstills)}: what failed may have failed for that reason{error and f' ({error})'}"
        self.outcome = Outcome(
            plan=self.plan,
            verdict=verdict,
            directory=self.directory,
            project=self.project,
            began=self._began,
            zero=self._zero,
            seconds={**self.seconds, "total": STEADY.now() - self._began_steady},
            expectations=results,
            timeline=timeline,
            error=error,
            environment=self._environment,
            addresses={name: location.address for name, location in self.engine.locations.items()},
            hashes=self.hashes,
            touched=self._touches,
            notes=(
                *_touch_notes(self._touches),
                *(f"not judged: {text}" for text in self.plan.left_out),
                *standstills,
                *self._watch.steps(zero),
            ),
            last_lines={node: lines for node in nodes if (lines := self.nodes.last_lines(node))},
        )
        try:
            write_reports(self.outcome)
        except OSError as failure:
            lost = f"the record cannot be written: {failure.strerror or failure}: {self.directory}"
            self.outcome = replace(self.outcome, verdict=Verdict.NOT_JUDGED, error=self.outcome.error or lost)
            raise NotJudgedError(self.outcome.error) from failure
        return self.outcome

    def _take_begun(self, item: ScheduledItem, began: float) -> None:
        self._recorder.write_lab_event("begun", self._require_clock().epoch + began, **item.row(began))
        self._view.event_begun(item.announcement, began)

    def _take_applied(self, applied: AppliedEvent) -> None:
        self._recorder.write_lab_event(
            "applied", **{key: value for key, value in applied.row().items() if value is not None}
        )
        self._view.event_applied(applied)
        # Expectations may count from this event.
        self.nodes.notify()


def _touch_notes(touches: Sequence[str]) -> Iterator[str]:
    if touches:
        more = f"; and {len(touches) - MAX_TOUCHES} more" if len(touches) > MAX_TOUCHES else ""
        yield f"somebody touched this run by hand: {'; '.join(touches[:MAX_TOUCHES])}{more}"
