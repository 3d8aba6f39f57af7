"""The lifecycle of a lab: bootstrap (image, nodes, the first starts) and removal.

t = 0 is the moment at which the tracker and the initial seeds are up.

Tested by tests/unit/lab/test_api.py and tests/integration/test_up.py.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from torrentnet.lab import plain_compose
from torrentnet.lab.capture.block_file import open_new
from torrentnet.lab.capture.capture import Capture, CapturedLab, describe
from torrentnet.lab.engines import kernel_tables
from torrentnet.lab.engines.command_lines import command_lines, node_specs, uses_machine_addresses
from torrentnet.lab.engines.owner import Owner
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import LabSpec, Mode
from torrentnet.lab.errors import EngineError, LabError, UsageError, system_error
from torrentnet.lab.home import (
    ActiveFault,
    RunningLab,
    forget_running_lab,
    make_lab_directory,
    remove_lab_directory,
    remove_orphans,
    replace_running_lab,
    write_current_lab,
    write_faults,
)
from torrentnet.lab.network import capabilities, loopback, persisted_rules
from torrentnet.lab.network.render import OPEN_GATE_LENGTH
from torrentnet.lab.paths import lab_home, write_atomically
from torrentnet.lab.run.clock_watch import ClockWatch
from torrentnet.lab.run.content import file_facts, make_files, make_torrents
from torrentnet.lab.run.facts.line_reader import LineReader
from torrentnet.lab.run.interrupts import InterruptHandler
from torrentnet.lab.run.lab_state import LabClock, LabState
from torrentnet.lab.run.network_verbs import NetworkVerbs
from torrentnet.lab.run.node_start import start_initial_nodes
from torrentnet.lab.run.open_files import require_open_files
from torrentnet.lab.run.recorder import Recorder, make_run_directory
from torrentnet.lab.run.timeline.adopted_faults import rules_in_force
from torrentnet.lab.run.timeline.network_faults import NetworkFaults
from torrentnet.lab.run.view import DetachedView, LabView
from torrentnet.lab.scenario.kept_text import keep_text
from torrentnet.lab.scenario.plan.expectations import LogCheckPlan
from torrentnet.lab.scenario.plan.plan_document import FILE as PLAN_FILE
from torrentnet.lab.scenario.plan.plan_document import plan_document
from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import StateChange
    from torrentnet.lab.network.persisted_rules import PersistedRules
    from torrentnet.lab.network.probe import Capabilities
    from torrentnet.lab.run.node_verbs import UndoHandle
    from torrentnet.lab.run.timeline.timeline import Timeline
    from torrentnet.lab.scenario.plan.plan import Plan

VIEW_PATIENCE: Final = 5.0
"""For a caller's view that has not shown everything when the lab has been removed."""


class LabLifecycle(NetworkVerbs):
    """A lab that a ``with`` block brings up and removes.

    Entering the block brings the lab up. Leaving it removes everything unless the lab is kept.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        *,
        mode: Mode = Mode.RUN,
        home: Path | None = None,
        runs: Path | None = None,
        view: LabView | None = None,
        interrupts: InterruptHandler | None = None,
        capture: int | None = None,
    ) -> None:
        """Prepare the lab; nothing is created yet.

        ``capture`` is how many bytes of each packet are written to the record; None for no capture.
        """
        require_open_files(len(plan.nodes))
        self.plan = plan
        self.engine = engine
        self.mode = mode
        self.home = home or lab_home()
        self.project = f"torrentnet-{plan.name}-{secrets.token_hex(3)}"
        self.directory = make_run_directory(runs or self.home / "runs", plan.name)
        """The run's record."""
        self.seconds: dict[str, float] = {}
        """How long each phase took: ``image``, ``create``, ``start``, ``run``."""
        self.hashes: dict[str, str] = {}
        """SHA-256 of each file's source, in hexadecimal."""
        self.sizes: dict[str, int] = {}
        """Bytes of each file's source."""
        self._began = time.time()
        self._dropped = kernel_tables.count_dropped()
        """What the kernel's tables had dropped before this lab."""
        self._began_steady = STEADY.now()
        self._nodes = {node.name: node for node in plan.nodes}
        self._own_view = not isinstance(view, DetachedView)
        self._view = view if isinstance(view, DetachedView) else DetachedView(view or LabView())
        self._interrupts = interrupts or InterruptHandler(self._view.print_line)
        self._capabilities: Capabilities | None = None
        self._environment: dict[str, str] = {}
        self.faults = NetworkFaults(
            engine,
            self._find_capabilities,
            on_change=self._record_faults,
            translate=partial(loopback.translations, plan),
        )
        self._watch = ClockWatch()
        self._undo_handles: list[UndoHandle] = []
        try:
            self._recorder = Recorder(
                self.directory, self._nodes, self._lose, {node.name: node.limits.log for node in plan.nodes}
            )
        except OSError as error:
            raise system_error(error) from error
        self._reader = LineReader(plan.nodes)
        self.nodes = LabState(self._nodes, self._recorder.write_line, self._reader)
        """The current state of every node."""
        for expected in plan.expectations:
            if isinstance(expected, LogCheckPlan):
                # Before the first line is printed: lines count from the node's first start on.
                for node in expected.nodes:
                    self.nodes.count_lines(node, expected.pattern)
        self.clock: LabClock | None = None
        """None before t = 0."""
        self._timeline: Timeline | None = None
        self._snap = capture
        self._capture: Capture | None = None
        self._created = False
        self._kept = False
        self._closed = False

    def __enter__(self) -> Self:
        try:
            try:
                self._bootstrap()
            except OSError as error:
                raise system_error(error) from error
        except BaseException as error:
            self._end(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Remove the lab first, then record why the block ended."""
        with self._interrupts.shield(), contextlib.ExitStack() as steps:
            # Called from the last to the first, each one whatever the others raise.
            if error is not None:
                steps.callback(self._end_early, error)
            steps.callback(self.close)

    def _end_early(self, error: BaseException) -> None:
        """Record why the block ended. Called after everything was removed."""

    # -- up ----------------------------------------------------------------------------------------

    def _bootstrap(self) -> None:
        """Create every node, and start the tracker and the initial seeds."""
        report = self._view.print_line
        self._watch.start()
        with self._phase("image"):
            self.engine.check()
            remove_orphans(self.engine, self.home, report)
            self.engine.prepare(report)
            if self.plan.foreign_programs:
                self.engine.prepare_programs(self.plan.foreign_programs, report)
            if self.plan.programs:
                self.engine.prepare_foreign(self.plan.programs, report)
            with contextlib.suppress(LabError):
                self._environment = self.engine.environment()
            capabilities.require_counters(self.plan, self.engine)
            capabilities.require_translation(self.plan, self.engine)
            qualities = capabilities.required_qualities(self.plan)
            if qualities:
                self._find_capabilities().require(qualities)
        for warning in kernel_tables.warnings_before(len(self.plan.nodes)):
            report(warning)
        with self._phase("create"):
            rules = bool(qualities) or any(map(uses_machine_addresses, self.plan.nodes))
            self._create_nodes(gate=OPEN_GATE_LENGTH if rules else "")
            self.engine.observe(self.faults)
            if rules:
                self.faults.install_links(self.plan.links)
            if self.mode is Mode.UP and self.engine.has_compose:
                plain_compose.publish(self.home, self.directory / "compose.yaml")
            if self._snap is not None:
                self._start_capture(self._snap)
        with self._phase("start"):
            self.nodes.subscribe(self._view.node_changed)
            self._view.start(self.plan, self.nodes)
            self.engine.watch(self.nodes.add_line, self._take_state, self.nodes.lose)
            start_initial_nodes(self.plan, self.engine, self.nodes)
            self.faults.warm_up()
            self.clock = LabClock()
            self._recorder.set_epoch(self.clock.epoch)
            self._recorder.write_lab_event("zero", self.clock.epoch)
            write_current_lab(self.home, self._as_running())
            report(f"{0:7.1f} s  t = 0 is {self._zero}")
            self._view.set_clock(self.clock)

    def _create_nodes(self, gate: str) -> None:
        self._created = True
        folder = make_lab_directory(self.home, self.project)
        write_current_lab(self.home, self._as_running())
        files = folder / "files"
        self.hashes = make_files(self.plan.files, self.plan.seed, files)
        facts = file_facts(self.plan.files, self.hashes, files)
        self.sizes = {name: fact.size for name, fact in facts.items()}
        make_torrents(self.plan.torrents, files)
        document = json.dumps(plan_document(self.plan, self.sizes), ensure_ascii=False)
        write_atomically(self.directory / PLAN_FILE, document + "\n")
        keep_text(self.plan.source, self.directory)
        spec = LabSpec(
            project=self.project,
            scenario=self.plan.name,
            mode=self.mode,
            home=self.home,
            files=files,
            record=self.directory,
            nodes=node_specs(self.plan),
            commands=command_lines(self.plan, facts),
            gate=gate,
        )
        self.engine.create(spec, self._view.print_line)
        self._reader.set_addresses({name: location.address for name, location in self.engine.locations.items()})

    def _start_capture(self, snap: int) -> None:
        """See all packets from before the first node's start on."""
        addresses = {name: location.address for name, location in self.engine.locations.items()}
        lab = CapturedLab(self.plan.name, self.project, addresses, self.directory, snap)
        file = open_new(self.directory)
        try:
            self._capture = Capture(lab, self.engine.sniff(snap), file)
        except BaseException:
            file.close()
            raise
        self._capture.start()

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - began

    def _require_clock(self) -> LabClock:
        if self.clock is None:
            raise UsageError("the lab is not up; use it in a `with` block")
        return self.clock

    def _take_state(self, change: StateChange) -> None:
        self._recorder.write_lab_event("node", change.time, of=change.node, state=str(change.state))
        self.nodes.add_state(change)

    def _find_capabilities(self) -> Capabilities:
        """Return what the engine can do to links; the first call probes it."""
        if self._capabilities is None:
            self._capabilities = capabilities.find_capabilities(self.engine, self.plan.seed)
        return self._capabilities

    def listen(self, on_row: Callable[[str], None], on_line: Callable[[str, float, str], None]) -> None:
        """Pass on what is recorded from now on, see :meth:`Recorder.listen`."""
        self._recorder.listen(on_row, on_line)

    # -- down --------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Leave the lab up when the block ends: ``torrentnet down`` removes it."""
        with self._interrupts.shield():
            replace_running_lab(self.home, self._as_running(), self._view.print_line)
            self._kept = True

    def close(self) -> None:
        """Stop everything in progress and, unless the lab is kept, remove it.

        May be called again. Signals wait meanwhile. Every step is carried out, whatever the others raise.
        """
        with self._interrupts.shield(), contextlib.ExitStack() as steps:
            if self._closed:
                return
            self._closed = True
            # Called from the last to the first.
            steps.callback(self._report_full_tables)
            steps.callback(self._finish_capture)
            steps.callback(self._recorder.close)
            steps.callback(self.engine.close)
            if self._created and not self._kept:
                steps.callback(forget_running_lab, self.home, self.project)
                steps.callback(remove_lab_directory, self.home, self.project)
                steps.callback(self.engine.destroy)
                steps.callback(self._view.print_line, "removing the lab")
            if self._capture is not None:
                steps.callback(self._capture.stop)
            steps.callback(self.engine.unwatch)
            steps.callback(self.faults.close)
            steps.callback(self._watch.close)
            steps.callback(self.engine.observe, None)
            steps.callback(self._end_runs)
            steps.callback(self._view.stop)
        if self._own_view:
            self._view.close(VIEW_PATIENCE)

    def _finish_capture(self) -> None:
        """Complete the capture with what the record has, and say what it has."""
        if self._capture is not None:
            for line in describe(self._capture.finish(), self._capture.name):
                self._view.print_line(line)

    def _report_full_tables(self) -> None:
        for warning in kernel_tables.warnings_after(self._dropped):
            self._view.print_line(warning)

    def _end_runs(self) -> None:
        """End the timeline; where the lab is kept, note the rules that are in force."""
        with contextlib.suppress(EngineError):
            self._end_timeline()
            if self._kept:
                persisted_rules.persist_rules(self.home, self.project, self._rules_in_force())

    def _lose(self, reason: str) -> None:
        self.nodes.lose(reason)

    def _record_faults(self, faults: list[ActiveFault]) -> None:
        # For `status` alone: what is in force does not depend on what can be written.
        with contextlib.suppress(OSError):
            write_faults(self.home, self.project, faults)

    def _end_timeline(self) -> None:
        if self._timeline is not None:
            timeline, self._timeline = self._timeline, None
            timeline.stop()
            timeline.undo_all()

    def _rules_in_force(self) -> dict[str, PersistedRules]:
        """Return the network rules that are in force in each node.

        A node that was started by hand since has none in force.
        """
        known = {
            node: self.engine.incarnation(node) if self.nodes.snapshot(node).starts == self.faults.starts(node) else ""
            for node in self.faults.scripts()
        }
        return rules_in_force(self.faults, known)

    def _as_running(self) -> RunningLab:
        return RunningLab(
            self.project,
            self.plan.name,
            self.engine.name,
            str(self.directory),
            owner=str(Owner.myself()),
            engine_id=self.engine.identity,
            home=str(self.home),
            zero=self._zero,
        )

    @property
    def _zero(self) -> str:
        """t = 0 in UTC; empty before that."""
        return "" if self.clock is None else format_timestamp(STEADY.time_of_day(self.clock.epoch))
