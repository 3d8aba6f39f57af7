"""The lab of this process behind a live page.

Tested by tests/unit/lab/ui/test_session.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.paths import write_atomically
from torrentnet.lab.plain_compose import compose_command
from torrentnet.lab.report.run_document import PROGRESS_LINE, record_header
from torrentnet.lab.scenario.plan.plan_document import FILE as PLAN_FILE
from torrentnet.lab.scenario.plan.plan_document import plan_document
from torrentnet.lab.ui.clicking.clicks import write_clicks
from torrentnet.lab.ui.clicking.saved_scenario import read_source, save_scenario
from torrentnet.lab.ui.clicking.verb_performer import VerbPerformer
from torrentnet.lab.ui.live_document import LateDocument

if TYPE_CHECKING:
    from torrentnet.lab.api import Lab
    from torrentnet.lab.ui.hub import Hub
    from torrentnet.lab.ui.session import LiveSession
    from torrentnet.lab.ui.verb_request import VerbAnswer, VerbRequest

MAX_EARLY_LINES: Final = 2000
"""Lines from before t = 0 that wait for it."""
GONE: Final = "the lab has been removed; the page shows what was"
EARLY: Final = "the lab is still coming up; its verbs work from t = 0 on"


class OwnLab:
    """The lab of this process: its page shows what the record gets, when it gets it."""

    def __init__(self, lab: Lab, session: LiveSession) -> None:
        """Begin to serve the page of a lab that has not been brought up."""
        self._lab = lab
        self._session = session
        self._gone = ""
        self._early: list[tuple[str, float, str]] = []
        self._performer = VerbPerformer(
            lab,
            lab.plan.nodes,
            compose=self._compose,
            on_touch=self._touch,
            taken=[event.name for event in lab.plan.events if event.name],
        )
        write_atomically(lab.directory / PLAN_FILE, json.dumps(plan_document(lab.plan, {})) + "\n")
        self._hub: Hub = session.show(lab.plan.name, LateDocument(self._header(), self._header), self)
        lab.listen(self._hub.add_row, self._add_line)

    # -- what the page asks --------------------------------------------------------------------------

    @property
    def read_only(self) -> str:
        """Why nobody may change the lab; empty where its verbs work."""
        return self._session.watches_only or self._gone

    def act(self, request: VerbRequest) -> VerbAnswer:
        """Carry a verb out. Raises LabError."""
        clock = self._lab.clock
        if clock is None:
            raise UsageError(EARLY)
        answer = self._performer.act(request, clock)
        write_clicks(self._lab.home, self._lab.project, self._performer.clicks)
        return answer

    def scenario(self) -> str:
        """Return a scenario that does what was done by hand. Raises LabError."""
        plan = self._lab.plan
        source = read_source(self._lab.directory, plan.source, plan.time_limit, plan.parameters)
        return save_scenario(source, self._performer.clicks.all())

    def _compose(self) -> str:
        lab = self._lab
        if not lab.engine.has_compose:
            return ""
        return compose_command(lab.home, lab.project, lab.directory / "compose.yaml")

    def _touch(self, text: str) -> None:
        if self._lab.touch(text):
            self._hub.change({"touched": True})

    # -- what the page shows -------------------------------------------------------------------------

    def _header(self) -> dict[str, Any]:
        header = record_header(self._lab.directory)
        locations = self._lab.engine.locations
        for node in header["nodes"]:
            if (location := locations.get(node["name"])) is not None:
                node["address"] = location.address
        header["run"] |= {"live": True, "verdict": "running", "error": None}
        return header

    def _add_line(self, node: str, time: float, text: str) -> None:
        if PROGRESS_LINE.match(text):  # the map of pieces shows what such lines say
            return
        clock = self._lab.clock
        if clock is None:
            if len(self._early) < MAX_EARLY_LINES:
                self._early.append((node, time, text))
            return
        early, self._early = self._early, []
        for line in (*early, (node, time, text)):
            self._hub.add_line(line[0], round(clock.of(line[1]) * 1000), line[2])

    def show_verdict(self, *, gone: bool) -> None:
        """Show how the run ended; ``gone`` says that the lab has been removed."""
        self._gone = GONE if gone else ""
        try:
            header = record_header(self._lab.directory)
        except LabError:
            header = {"run": {"verdict": "error"}, "expectations": []}
        self._session.change({**header["run"], "live": not gone}, expectations=header["expectations"])
