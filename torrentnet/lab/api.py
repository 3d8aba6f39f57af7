"""One lab, from its first container to its last.

The command line uses it as tests and notebooks do::

    with Lab(load_plan(path), DockerEngine(root())) as lab:
        outcome = lab.play()                       # the scenario's own timeline, judged
        lab.kill("seeder-1")                       # or by hand, with the scenario's verbs
        lab.wait_event("tracker", "forgotten", peer="seeder-1")
        with lab.pause("seeder-2"):
            print(lab.console("tracker", "peers").output)

Entering the block brings the tracker and the first seeds up; leaving it, however that happens, removes everything.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console

from torrentnet.lab.cli.progress import ProgressView
from torrentnet.lab.engines.command_lines import command_lines, node_specs
from torrentnet.lab.engines.types import LabSpec, Mode, StateChange
from torrentnet.lab.errors import EngineError, LabError, UsageError
from torrentnet.lab.events import show_time
from torrentnet.lab.home import lab_store
from torrentnet.lab.home.cleanup import remove_orphans
from torrentnet.lab.home.dotenv import write_env_block
from torrentnet.lab.home.paths import checkout_root, lab_home
from torrentnet.lab.network import capabilities, persisted_rules
from torrentnet.lab.network.persisted_rules import PersistedRules
from torrentnet.lab.network.render import OPEN_GATE_LENGTH
from torrentnet.lab.report import result
from torrentnet.lab.run.bootstrap import NodeStartError, start_initial_nodes
from torrentnet.lab.run.clock import LabClock
from torrentnet.lab.run.content import make_files, make_torrents
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.run.network_verbs import NetworkVerbs
from torrentnet.lab.run.recorder import Recorder, make_run_directory
from torrentnet.lab.run.timeline.network_faults import NetworkFaults
from torrentnet.lab.run.timeline.timeline import Timeline
from torrentnet.lab.verdict.check import CheckContext
from torrentnet.lab.verdict.judge import judge
from torrentnet.lab.verdict.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.network.probe import Capabilities
    from torrentnet.lab.run.node_verbs import UndoHandle
    from torrentnet.lab.run.timeline.applied_event import AppliedEvent
    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.verdict.expectation import ExpectationResult

MAX_QUOTED_NODES = 4
"""Nodes whose last lines are shown when something failed."""


class Lab(NetworkVerbs):
    """A lab for one plan on one engine. See the module for how it is used."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        *,
        mode: Mode = Mode.RUN,
        home: Path | None = None,
        runs: Path | None = None,
        view: ProgressView | None = None,
        interrupts: InterruptHandler | None = None,
    ) -> None:
        self.plan = plan
        self.engine = engine
        self.mode = mode
        self.home = home or lab_home()
        self.project = f"torrentnet-{plan.name}-{secrets.token_hex(3)}"
        self.directory = make_run_directory(runs or self.home / "runs", plan.name)
        self.seconds: dict[str, float] = {}
        self.hashes: dict[str, str] = {}
        self._nodes = {node.name: node for node in plan.nodes}
        self._view = view or ProgressView(Console(quiet=True))
        self._interrupts = interrupts or InterruptHandler(self._view.say)
        self._recorder = Recorder(self.directory, self._nodes)
        self.faults = NetworkFaults(engine, self._offered, on_change=self._take_faults)
        self._offer: Capabilities | None = None
        self._by_hand: list[UndoHandle] = []
        self.board = LabState(self._nodes, self._recorder.take)
        for expected in plan.expectations:
            if expected.log is not None:
                # Before the first line is printed: lines count from the node's first start on.
                for node in expected.nodes:
                    self.board.follow(node, expected.log)
        self.clock: LabClock | None = None
        self._began = time.time()
        self._timeline: Timeline | None = None
        self.ended: Outcome | None = None
        """What came of the scenario, once that is known."""
        self._created = False
        self._kept = False

    # ── up and down ──────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        try:
            self.start_lab()
        except BaseException as error:
            self._end_early(error)
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.ended is None and error is not None:
            self._end_early(error)
        self.close()

    def _end_early(self, error: BaseException) -> None:
        """Write down why there is no verdict."""
        about: tuple[str, ...] = ()
        match error:
            case NodeStartError():
                verdict, text, about = Verdict.FAIL, error.message, error.nodes
            case LabError():
                verdict, text = Verdict.ERROR, error.message
            case Interrupted():
                verdict, text = Verdict.INTERRUPTED, f"ended by {error.signal.name}"
            case _:
                return
        with self._interrupts.shield():
            timeline = tuple(self._timeline.applied) if self._timeline else ()
            self.ended = self._outcome(verdict, timeline=timeline, error=text, about=about)
            result.write_reports(self.ended)

    def start_lab(self) -> None:
        """Make everything, and start the tracker and the first seeds. t = 0 is when they are up."""
        say = self._view.say
        with self._phase("image"):
            self.engine.check()
            remove_orphans(self.engine, self.home, say)
            self.engine.prepare(say)
            if self.plan.foreign:
                self.engine.prepare_programs(self.plan.foreign, say)
            capabilities.require_counters(self.plan, self.engine)
            asked = capabilities.required_qualities(self.plan)
            if asked:
                self._offered().require(asked)
        with self._phase("create"):
            self._created = True
            folder = lab_store.make_lab_directory(self.home, self.project)
            lab_store.write_current_lab(self.home, self._as_up())
            files = folder / "files"
            self.hashes = make_files(self.plan.files, self.plan.seed, files)
            make_torrents(self.plan.torrents, files)
            spec = LabSpec(
                project=self.project,
                scenario=self.plan.name,
                mode=self.mode,
                home=self.home,
                files=files,
                record=self.directory,
                nodes=node_specs(self.plan),
                commands=command_lines(self.plan),
                gate=OPEN_GATE_LENGTH if asked else "",
            )
            self.engine.create(spec, say)
            self.engine.follow(self.faults)
            if asked:
                self.faults.begin(self.plan.links)
            if self.mode is Mode.UP and self.engine.has_compose:
                write_env_block(
                    self.home,
                    self.project,
                    [checkout_root() / "docker-compose.yml", self.directory / "compose.yaml"],
                )
        with self._phase("start"):
            self.board.listen(self._view.news)
            self._view.begin(self.plan, self.board)
            self.engine.watch(self.board.take_line, self._take_state)
            start_initial_nodes(self.plan, self.engine, self.board)
            self.faults.warm()
            self.clock = LabClock()
            self._recorder.begin(self.clock.epoch)
            self._recorder.lab("zero")
            self._view.zero(self.clock)

    def keep(self) -> None:
        """Leave the lab up when it is closed: ``down`` removes it then."""
        with self._interrupts.shield():
            lab_store.write_running_lab(self.home, self._as_up())
            self._kept = True

    def _as_up(self) -> lab_store.RunningLab:
        return lab_store.RunningLab(self.project, self.plan.name, self.engine.name, str(self.directory))

    def close(self) -> None:
        """End what goes on and, unless the lab is kept, remove it. Signals are put off meanwhile."""
        with self._interrupts.shield():
            self._view.end()
            with contextlib.suppress(EngineError):
                self._end_timeline()
                if self._kept:
                    persisted_rules.persist_rules(self.home, self.project, self._in_force())
            self.engine.follow(None)
            self.faults.close()
            self.engine.unwatch()
            self._recorder.close()
            try:
                if self._created and not self._kept:
                    self._view.say("removing the lab")
                    self.engine.destroy(self._view.say)
            finally:
                if self._created and not self._kept:
                    lab_store.remove_lab_directory(self.home, self.project)
                    lab_store.forget_running_lab(self.home, self.project)
                self.engine.close()

    def _end_timeline(self) -> None:
        if self._timeline is not None:
            timeline, self._timeline = self._timeline, None
            timeline.stop()
            timeline.heal()

    def _in_force(self) -> dict[str, PersistedRules]:
        """The rules in the nodes; those of a node that somebody else has started since are not in force."""
        return {
            node: PersistedRules(
                self.engine.life(node) if self.board.view(node).starts == self.faults.starts(node) else "", script
            )
            for node, script in self.faults.scripts().items()
        }

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - began

    def _zeroed(self) -> LabClock:
        if self.clock is None:
            raise UsageError("the lab is not up; use it in a `with` block")
        return self.clock

    def _take_state(self, change: StateChange) -> None:
        self._recorder.lab("node", of=change.node, state=str(change.state), at=show_time(change.time))
        self.board.take_state(change)

    def _offered(self) -> Capabilities:
        """What the engine can give; found out when it is asked for first."""
        if self._offer is None:
            self._offer = capabilities.find_capabilities(self.engine, self.plan.seed)
        return self._offer

    def _take_faults(self, active: list[lab_store.ActiveFault]) -> None:
        lab_store.write_faults(self.home, self.project, active)

    def _take_applied(self, applied: AppliedEvent) -> None:
        self._recorder.lab("applied", **{key: value for key, value in applied.row().items() if value is not None})
        self._view.applied(applied)
        # Expectations count from it.
        self.board.poke()

    # ── the scenario ─────────────────────────────────────────────────────────────────────────────────────────

    def play(self) -> Outcome:
        """Let the scenario's timeline happen, and judge its expectations. Writes ``result.json`` and ``junit.xml``."""
        clock = self._zeroed()
        timeline = self._timeline = Timeline(
            self.plan, self.engine, clock, self._take_applied, board=self.board, faults=self.faults
        )
        stage = CheckContext(
            engine=self.engine,
            board=self.board,
            clock=clock,
            timeline=timeline,
            nodes=self._nodes,
            hashes=self.hashes,
            events={event.index: event.text for event in self.plan.events},
            time_limit=self.plan.time_limit,
        )
        with self._phase("run"):
            timeline.begin()
            judgements = judge(self.plan, stage, timeline)
            self._end_timeline()
            timeline.conclude()
        self._view.end()
        failed = [one.node for judged in judgements if judged.failed for one in judged.answers if not one.passed]
        failed += [node for applied in timeline.applied if applied.error for node in applied.nodes]
        self.ended = self._outcome(
            Verdict.FAIL if failed or any(applied.error for applied in timeline.applied) else Verdict.PASS,
            judgements=judgements,
            timeline=tuple(timeline.applied),
            about=failed,
        )
        result.write_reports(self.ended)
        return self.ended

    def _outcome(
        self,
        verdict: Verdict,
        *,
        judgements: tuple[ExpectationResult, ...] = (),
        timeline: tuple[AppliedEvent, ...] = (),
        error: str = "",
        about: Iterable[str] = (),
    ) -> Outcome:
        """What came of the lab; ``about`` names the nodes whose last lines tell why."""
        environment: dict[str, str] = {}
        with contextlib.suppress(LabError):
            environment = self.engine.environment()
        nodes = list(dict.fromkeys(about))[:MAX_QUOTED_NODES]
        return Outcome(
            plan=self.plan,
            verdict=verdict,
            directory=self.directory,
            project=self.project,
            began=self._began,
            seconds={**self.seconds, "total": time.time() - self._began},
            judgements=judgements,
            timeline=timeline,
            error=error,
            environment=environment,
            addresses={name: place.address for name, place in self.engine.places.items()},
            hashes=self.hashes,
            last_lines={node: self.board.last_lines(node) for node in nodes if self.board.last_lines(node)},
        )
