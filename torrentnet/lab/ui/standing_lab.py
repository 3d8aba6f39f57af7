"""A lab that an earlier command has left up, behind a live page.

While the page is open, this process goes on with what that command did: it writes the record, and keeps the network as
it is wanted, with the faults that earlier pages have left in force.

Tested by tests/integration/test_live_page.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.selection import make_engine
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import LabError
from torrentnet.lab.home import read_faults
from torrentnet.lab.network import persisted_rules
from torrentnet.lab.paths import lab_directory
from torrentnet.lab.plain_compose import compose_command
from torrentnet.lab.report.document_builder import DocumentBuilder
from torrentnet.lab.report.record_values import epoch_seconds, object_of, objects, read_object
from torrentnet.lab.report.run_document import (
    EVENTS_FILE,
    LOGS_FOLDER,
    PLAN_FILE,
    PROGRESS_LINE,
    add_log,
    read_rows,
    record_header,
)
from torrentnet.lab.run.facts.line_reader import LineReader
from torrentnet.lab.run.lab_state import LabClock, LabState
from torrentnet.lab.run.network_verbs import NetworkFault, NetworkVerbs
from torrentnet.lab.run.recorder import LAB_NODE, Recorder
from torrentnet.lab.run.timeline.adopted_faults import adopt_faults
from torrentnet.lab.run.timeline.network_faults import OverrideResult
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Role
from torrentnet.lab.ui.clicking.clicks import read_clicks, write_clicks
from torrentnet.lab.ui.clicking.saved_scenario import read_source, save_scenario
from torrentnet.lab.ui.clicking.verb_performer import VerbPerformer
from torrentnet.lab.ui.own_lab import GONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.engines.types import LogLine, StateChange
    from torrentnet.lab.home import RunningLab
    from torrentnet.lab.ui.session import LiveSession
    from torrentnet.lab.ui.verb_request import VerbAnswer, VerbRequest

LOCK_FILE: Final = "page.lock"
ANOTHER_PAGE: Final = "another page of this lab is open, and has its verbs"


class StandingLab(NetworkVerbs):
    """A lab that is up, adopted by this process for as long as its page is open."""

    def __init__(self, running: RunningLab, home: Path, session: LiveSession) -> None:
        """Adopt the lab, and begin to serve its page. Raises LabError."""
        self._running, self._home, self._session = running, home, session
        self._record = Path(running.record)
        self._gone = ""
        self._steps = contextlib.ExitStack()
        try:
            self._adopt()
        except BaseException:
            self._steps.close()
            raise

    def _adopt(self) -> None:
        """Take the lab over; each step is undone by :meth:`close`."""
        steps, running = self._steps, self._running
        steps.callback(os.close, _lock(self._home, running.project))
        self.engine = make_engine(running.engine)
        steps.callback(self.engine.close)
        self.engine.check()
        self.engine.adopt(running.project)
        plan = self._plan = read_object(self._record / PLAN_FILE)
        self._nodes = {node.name: node for node in map(_node, objects(plan.get("nodes")))}
        if set(self._nodes) != set(self.engine.locations):
            raise LabError(
                f"the record of {running.scenario} does not name the nodes that are up: {self._record}",
                hint="the lab is of an older version, or its record was removed; bring it up anew",
            )
        self._undo_handles = []
        reader = LineReader(self._nodes.values())
        reader.set_addresses({name: place.address for name, place in self.engine.locations.items()})
        header = record_header(self._record)
        header["run"]["live"] = True
        for node in header["nodes"]:
            node["address"] = self.engine.locations[node["name"]].address
        builder, zero = DocumentBuilder(header), None
        for row in read_rows(self._record):
            if row.get("event") == "zero" and row.get("node") == LAB_NODE:
                zero = epoch_seconds(row.get("time"))
            builder.add(row)
        if zero is None:
            raise LabError(f"the record of {running.scenario} has no beginning: {self._record / EVENTS_FILE}")
        for node in self._nodes:
            add_log(builder, node, self._record, round(zero * 1000))
        builder.take_delta()
        self.clock = LabClock()
        self.clock.epoch = STEADY.place(zero)
        self._known_until = STEADY.place(_last_written(self._record))
        self._recorder = Recorder(self._record, self._nodes)
        steps.callback(self._recorder.close)
        self._recorder.set_epoch(self.clock.epoch)
        self.nodes = LabState(self._nodes, self._recorder.write_line, reader)
        self._restore_network()
        self._hub = self._session.show(running.scenario, builder, self)
        self._recorder.listen(self._hub.add_row, self._add_line)
        self.engine.watch(self._take_line, self._take_state, lambda *_: None)
        steps.callback(self.engine.unwatch)

    def _restore_network(self) -> None:
        """Take over what is in force in the network, and what was clicked before."""
        home, project = self._home, self._running.project
        running = [node for node in self._nodes if self.engine.state(node).status is NodeStatus.RUNNING]
        persisted_rules.restore_rules(home, project, self.engine, running)
        active = read_faults(home, project)
        self.faults = adopt_faults(home, project, self.engine, int(self._plan.get("seed") or 0))
        self._steps.callback(self.faults.close)
        self._steps.callback(self.engine.observe, None)
        names = [str(row.get("name")) for row in objects(self._plan.get("timeline")) if row.get("name")]
        self._performer = VerbPerformer(
            self, list(self._nodes.values()), read_clicks(home, project), compose=self._compose, taken=names
        )
        faults = [
            NetworkFault(self.faults, OverrideResult(one.number, (), ()), one.override, self._recorded)
            for one in active
            if not one.link and one.override is not None
        ]
        self._performer.adopt(faults)

    def close(self) -> None:
        """Leave the lab as it is now: it stays up, and so does what was done to it."""
        self._steps.close()

    # -- what the page asks --------------------------------------------------------------------------

    @property
    def read_only(self) -> str:
        """Why nobody may change the lab; empty where its verbs work."""
        return self._session.watches_only or self._gone

    def act(self, request: VerbRequest) -> VerbAnswer:
        """Carry a verb out. Raises LabError."""
        answer = self._performer.act(request, self.clock)
        write_clicks(self._home, self._running.project, self._performer.clicks)
        return answer

    def scenario(self) -> str:
        """Return a scenario that does what was done by hand. Raises LabError."""
        parameters = {str(name): str(value) for name, value in object_of(self._plan.get("parameters")).items()}
        path = Path(str(self._plan.get("source") or f"{self._running.scenario}.yaml"))
        limit = float(self._plan.get("time_limit") or 0.0)
        return save_scenario(
            read_source(self._record, path, limit, list(parameters.items())), self._performer.clicks.all()
        )

    def _compose(self) -> str:
        if not self.engine.has_compose:
            return ""
        return compose_command(self._home, self._running.project, self._record / "compose.yaml")

    # -- what the nodes do ---------------------------------------------------------------------------

    def _take_line(self, line: LogLine) -> None:
        # The engine begins with all that was ever printed.
        if line.time > self._known_until:
            self.nodes.add_line(line)

    def _take_state(self, change: StateChange) -> None:
        self._recorder.write_lab_event("node", change.time, of=change.node, state=str(change.state))
        self.nodes.add_state(change)
        if all(self.nodes.snapshot(node).state.status is NodeStatus.GONE for node in self._nodes):
            self._gone = GONE
            self._hub.change({"live": False})

    def _add_line(self, node: str, time: float, text: str) -> None:
        if not PROGRESS_LINE.match(text):
            self._hub.add_line(node, round(self.clock.of(time) * 1000), text)


def _lock(home: Path, project: str) -> int:
    """Return the locked file of a lab's only page with verbs.

    Raises LabError where another page has it.
    """
    descriptor = os.open(lab_directory(home, project) / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LabError(ANOTHER_PAGE, hint="use that one, whose address is in its terminal, or close it") from None
    return descriptor


def _node(row: Mapping[str, Any]) -> NodePlan:
    file = row.get("file")
    return NodePlan(
        str(row.get("name")),
        str(row.get("group")),
        Role(row.get("role", Role.RUN)),
        None if file is None else str(file),
        float(row.get("start") or 0.0),
        program=NodeProgram(row.get("program", NodeProgram.OURS)),
    )


def _last_written(record: Path) -> float:
    """Return the time of day at which the record was written last."""
    paths = [record / EVENTS_FILE, *(record / LOGS_FOLDER).glob("*.log")]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
