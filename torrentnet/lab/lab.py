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

from torrentnet.lab import abilities, kept, report, state
from torrentnet.lab.board import Board
from torrentnet.lab.clock import Clock
from torrentnet.lab.engines.values import LabSpec, Mode, StateChange
from torrentnet.lab.errors import EngineError, LabError, UsageError
from torrentnet.lab.events import show_time
from torrentnet.lab.faults import Faults
from torrentnet.lab.files import make_files
from torrentnet.lab.interrupt import Interrupted, Interrupts
from torrentnet.lab.judge import judge
from torrentnet.lab.kept import KeptNode
from torrentnet.lab.leftovers import remove_orphans
from torrentnet.lab.looking import Stage
from torrentnet.lab.metainfo import make_torrents
from torrentnet.lab.netverbs import NetworkVerbs
from torrentnet.lab.network.render import GATE
from torrentnet.lab.outcome import Outcome, Verdict
from torrentnet.lab.programs import command_lines, node_specs
from torrentnet.lab.record import Recorder, make_run_directory
from torrentnet.lab.starting import NotUp, start_first
from torrentnet.lab.timeline import Applied, Timeline
from torrentnet.lab.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from torrentnet.lab.engines.base import Engine
    from torrentnet.lab.expect import Judgement
    from torrentnet.lab.network.probe import Offer
    from torrentnet.lab.plan import Plan
    from torrentnet.lab.verbs import Undo

LAST_LINES_OF = 4
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
        view: View | None = None,
        interrupts: Interrupts | None = None,
    ) -> None:
        self.plan = plan
        self.engine = engine
        self.mode = mode
        self.home = home or state.home()
        self.project = f"torrentnet-{plan.name}-{secrets.token_hex(3)}"
        self.directory = make_run_directory(runs or self.home / "runs", plan.name)
        self.seconds: dict[str, float] = {}
        self.hashes: dict[str, str] = {}
        self._nodes = {node.name: node for node in plan.nodes}
        self._view = view or View(Console(quiet=True))
        self._interrupts = interrupts or Interrupts(self._view.say)
        self._recorder = Recorder(self.directory, self._nodes)
        self.faults = Faults(engine, self._offered, on_change=self._take_faults)
        self._offer: Offer | None = None
        self._by_hand: list[Undo] = []
        self.board = Board(self._nodes, self._recorder.take)
        for expected in plan.expectations:
            if expected.log is not None:
                # Before the first line is printed: lines count from the node's first start on.
                for node in expected.nodes:
                    self.board.follow(node, expected.log)
        self.clock: Clock | None = None
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
            case NotUp():
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
            report.write(self.ended)

    def start_lab(self) -> None:
        """Make everything, and start the tracker and the first seeds. t = 0 is when they are up."""
        say = self._view.say
        with self._phase("image"):
            self.engine.check()
            remove_orphans(self.engine, self.home, say)
            self.engine.prepare(say)
            if self.plan.foreign:
                self.engine.prepare_programs(self.plan.foreign, say)
            abilities.require_counters(self.plan, self.engine)
            asked = abilities.asked_by(self.plan)
            if asked:
                self._offered().require(asked)
        with self._phase("create"):
            self._created = True
            folder = state.make_lab_directory(self.home, self.project)
            state.write_going(self.home, self._as_up())
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
                gate=GATE if asked else "",
            )
            self.engine.create(spec, say)
            self.engine.follow(self.faults)
            if asked:
                self.faults.begin(self.plan.links)
            if self.mode is Mode.UP and self.engine.has_compose:
                state.set_env(
                    self.home, self.project, [state.root() / "docker-compose.yml", self.directory / "compose.yaml"]
                )
        with self._phase("start"):
            self.board.listen(self._view.news)
            self._view.begin(self.plan, self.board)
            self.engine.watch(self.board.take_line, self._take_state)
            start_first(self.plan, self.engine, self.board)
            self.faults.warm()
            self.clock = Clock()
            self._recorder.begin(self.clock.epoch)
            self._recorder.lab("zero")
            self._view.zero(self.clock)

    def keep(self) -> None:
        """Leave the lab up when it is closed: ``down`` removes it then."""
        with self._interrupts.shield():
            state.write_up(self.home, self._as_up())
            self._kept = True

    def _as_up(self) -> state.UpLab:
        return state.UpLab(self.project, self.plan.name, self.engine.name, str(self.directory))

    def close(self) -> None:
        """End what goes on and, unless the lab is kept, remove it. Signals are put off meanwhile."""
        with self._interrupts.shield():
            self._view.end()
            with contextlib.suppress(EngineError):
                self._end_timeline()
                if self._kept:
                    kept.keep(self.home, self.project, self._in_force())
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
                    state.remove_lab_directory(self.home, self.project)
                    state.forget_up(self.home, self.project)
                self.engine.close()

    def _end_timeline(self) -> None:
        if self._timeline is not None:
            timeline, self._timeline = self._timeline, None
            timeline.stop()
            timeline.heal()

    def _in_force(self) -> dict[str, KeptNode]:
        """The rules in the nodes; those of a node that somebody else has started since are not in force."""
        return {
            node: KeptNode(
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

    def _zeroed(self) -> Clock:
        if self.clock is None:
            raise UsageError("the lab is not up; use it in a `with` block")
        return self.clock

    def _take_state(self, change: StateChange) -> None:
        self._recorder.lab("node", of=change.node, state=str(change.state), at=show_time(change.time))
        self.board.take_state(change)

    def _offered(self) -> Offer:
        """What the engine can give; found out when it is asked for first."""
        if self._offer is None:
            self._offer = abilities.find_offer(self.engine, self.plan.seed)
        return self._offer

    def _take_faults(self, active: list[state.ActiveFault]) -> None:
        state.write_faults(self.home, self.project, active)

    def _take_applied(self, applied: Applied) -> None:
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
        stage = Stage(
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
        report.write(self.ended)
        return self.ended

    def _outcome(
        self,
        verdict: Verdict,
        *,
        judgements: tuple[Judgement, ...] = (),
        timeline: tuple[Applied, ...] = (),
        error: str = "",
        about: Iterable[str] = (),
    ) -> Outcome:
        """What came of the lab; ``about`` names the nodes whose last lines tell why."""
        environment: dict[str, str] = {}
        with contextlib.suppress(LabError):
            environment = self.engine.environment()
        nodes = list(dict.fromkeys(about))[:LAST_LINES_OF]
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
