"""The nodes that are up at t = 0, and why they are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.fakes import FakeEngine, foreign, make_plan, seeder
from torrentnet.lab.engines.types import LogLine, NodeStatus, StateChange
from torrentnet.lab.run import node_start
from torrentnet.lab.run.facts.line_reader import LineReader
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.run.node_start import NodeStartError, start_initial_nodes
from torrentnet.lab.scenario.plan.plan import Role

if TYPE_CHECKING:
    from torrentnet.lab.scenario.plan.plan import NodePlan

STAMP = "2026-11-23T12:29:11.123Z"
RECORD = "all that it printed is in logs/theirs.log of the record"


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """All lines of these nodes have arrived when they end."""
    monkeypatch.setattr(node_start, "LAST_LINES_DELAY", 0.0)


class TalkingEngine(FakeEngine):
    """An engine whose nodes print lines when they are started, and may end."""

    def __init__(self, nodes: tuple[NodePlan, ...], says: dict[str, list[str]], ends: dict[str, int]) -> None:
        super().__init__(created=tuple(node.name for node in nodes))
        self.lab_state = LabState(self.states, reader=LineReader(nodes))
        self._says, self._ends = says, ends

    def _do(self, verb: str, node: str, status: NodeStatus, code: int | None = None) -> None:
        super()._do(verb, node, status, code)
        self.lab_state.add_state(StateChange(node, 1.0, self.states[node]))
        for text in self._says.get(node, []):
            self.lab_state.add_line(LogLine(node, 1.0, f"{STAMP} {text}"))
        if node in self._ends:
            super()._do("exit", node, NodeStatus.EXITED, self._ends[node])
            self.lab_state.add_state(StateChange(node, 1.0, self.states[node]))


def start(*nodes: NodePlan, says: dict[str, list[str]], ends: dict[str, int] | None = None) -> list[str]:
    engine = TalkingEngine(nodes, says, ends or {})
    start_initial_nodes(replace(make_plan(), nodes=nodes), engine, engine.lab_state)
    return engine.done


def failure(node: NodePlan, *says: str, code: int | None = None) -> tuple[str, str]:
    """Return the message and the hint of the error that a node's start raises."""
    with pytest.raises(NodeStartError) as caught:
        start(node, says={node.name: list(says)}, ends={} if code is None else {node.name: code})
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value.message, caught.value.hint


def test_the_tracker_is_up_before_the_seeds_start() -> None:
    done = start(seeder(), *make_plan().nodes, says={"tracker": ["listening"], "seeder-1": ["published"]})
    assert done == ["start tracker", "start seeder-1"]


def test_a_lab_needs_no_tracker() -> None:
    server, client = foreign("server", Role.RUN), foreign("client", Role.RUN, start=1.0)
    assert start(server, client, says={"server": ["listening"]}) == ["start server"]


def test_a_program_without_a_role_may_end_in_order_at_once() -> None:
    assert start(foreign("theirs", Role.RUN), says={}, ends={"theirs": 0})[0] == "start theirs"


def test_a_foreign_program_that_ends_at_once() -> None:
    said = 'said text="ModuleNotFoundError: No module named \\"yaml\\""'
    message, hint = failure(foreign("theirs", Role.TRACKER), "said text=Traceback", said, code=1)
    assert message == (
        "theirs: `mine` ended with status 1 before it was up; its last words: "
        'ModuleNotFoundError: No module named "yaml"'
    )
    assert hint == f"`torrentnet inspect` shows how `mine` is started; {RECORD}"


def test_a_command_that_does_not_exist() -> None:
    message, hint = failure(foreign("theirs", Role.SHARE), code=127)
    assert message == "theirs: `mine` ended with status 127 before it was up; it has printed nothing"
    assert "the first word must be a program that its image has" in hint


def test_a_foreign_program_without_a_socket() -> None:
    message, hint = failure(foreign("theirs", Role.TRACKER), 'said text="one \\u001b[2J two"', "listening program=mine")
    assert message == ("theirs: `mine`: no UDP socket 10 s after its start; its last words: one \\u001b[2J two")
    assert hint == f"raise `ready: 10s` of `mine`, or let it listen on the address that it is given; {RECORD}"


def test_a_foreign_program_that_does_not_share_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_start, "START_TIMEOUT", -10.0)
    message, _ = failure(foreign("theirs", Role.SHARE), "listening address=198.18.0.2:6881")
    assert message == "theirs: `mine` did not come up within 0 s; it has printed nothing"


def test_what_the_observer_reports_ends_the_wait() -> None:
    message, _ = failure(foreign("theirs", Role.SHARE), 'error reason="cannot be started: Permission denied"')
    assert message == "theirs: `mine`: cannot be started: Permission denied; it has printed nothing"


def test_our_own_node_that_ends_before_it_is_up() -> None:
    message, hint = failure(seeder("theirs"), "listening", code=1)
    assert (message, hint) == ("theirs ended with status 1 before it was up (no event `published`)", "")
