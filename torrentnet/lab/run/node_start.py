"""The start of the nodes that are up at t = 0.

The tracker starts first, then the initial seeds and all other programs.

Tested by tests/unit/lab/run/test_node_start.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import LabError
from torrentnet.lab.run.timeline.event_executor import for_each_node
from torrentnet.lab.run.timeline.timeline import starts_late
from torrentnet.lab.run.timeline.triggers import READY_EVENTS
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.runtime.process import EXIT_FAILED, EXIT_OK
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan.plan import NodePlan, Plan

START_TIMEOUT: Final = 30.0
"""Time in which the tracker, and then all initial seeds, must report that they are up."""
START_TIMEOUT_PER_NODE: Final = 1.0
"""Added for each node but the first."""
LAST_LINES_DELAY: Final = 0.5
"""The last lines of a node may arrive this much after its end."""
MAX_QUOTED_NODES: Final = 4
MAX_QUOTED_CHARS: Final = 200
SOCKETS: Final = {Role.TRACKER: "UDP socket", Role.SHARE: "listening TCP socket"}
"""What a program of the scenario must have when it is up."""
EXIT_NO_COMMAND: Final = 127
"""What a shell returns where there is no such program."""


class NodeStartError(LabError):
    """A node's program ended, or did not come up, before t = 0."""

    def __init__(self, message: str, nodes: Iterable[str], hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=EXIT_FAILED)
        self.nodes = tuple(nodes)


def start_initial_nodes(plan: Plan, engine: Engine, lab_state: LabState) -> None:
    """Start the initial nodes, the tracker first, and wait until each is up.

    Raises NodeStartError.
    """
    initial = [node for node in plan.nodes if not starts_late(node)]
    trackers = [node for node in initial if node.role is Role.TRACKER]
    for nodes in (trackers, [node for node in initial if node.role is not Role.TRACKER]):
        if nodes:
            for_each_node(engine.start, [node.name for node in nodes])
            _Start(nodes, lab_state).wait()


class _Start:
    """The wait for some nodes to come up."""

    def __init__(self, nodes: Sequence[NodePlan], lab_state: LabState) -> None:
        self._nodes = nodes
        self._lab_state = lab_state
        ready = max((node.foreign.ready for node in nodes if node.foreign is not None), default=0.0)
        self._timeout = START_TIMEOUT + START_TIMEOUT_PER_NODE * (len(nodes) - 1) + ready

    def wait(self) -> None:
        """Wait until each node is up. Raises NodeStartError."""
        self._lab_state.wait_until(lambda: not self._missing() or bool(self._failed()), self._timeout)
        if self._failed():
            self._lab_state.wait_until(lambda: not self._missing(), LAST_LINES_DELAY)
        if failed := self._failed():
            raise self._error(failed[0], [node.name for node in failed])
        if missing := self._missing():
            names = [node.name for node in missing]
            if missing[0].program is NodeProgram.FOREIGN:
                raise self._error(missing[0], names)
            text = f"{', '.join(names[:MAX_QUOTED_NODES])} did not come up within {self._timeout:g} s"
            raise NodeStartError(f"{text} (no event `{READY_EVENTS[missing[0].role]}`)", names)

    def _missing(self) -> list[NodePlan]:
        return [node for node in self._nodes if not self._is_up(node)]

    def _is_up(self, node: NodePlan) -> bool:
        if self._lab_state.events(node.name, READY_EVENTS[node.role]) and not self._reported(node):
            return True
        # A program without a role in the swarm may have done all that it has to do.
        return node.role is Role.RUN and self._exit_code(node) == EXIT_OK

    def _failed(self) -> list[NodePlan]:
        """Return the nodes that will not come up any more."""
        return [
            node
            for node in self._missing()
            if self._lab_state.snapshot(node.name).state.status is NodeStatus.EXITED or self._reported(node)
        ]

    def _reported(self, node: NodePlan) -> str:
        """Return why an observer has given its program up; empty where it has not."""
        if node.foreign is None:
            return ""
        if errors := self._lab_state.events(node.name, "error"):
            return errors[-1].fields.get("reason", "")
        listening = self._lab_state.events(node.name, "listening")
        if node.role in SOCKETS and listening and "address" not in listening[-1].fields:
            return f"no {SOCKETS[node.role]} {node.foreign.ready:g} s after its start"
        return ""

    def _exit_code(self, node: NodePlan) -> int | None:
        return self._lab_state.snapshot(node.name).state.exit_code

    def _error(self, node: NodePlan, names: Iterable[str]) -> NodeStartError:
        """Return the error for the first of the nodes that have failed."""
        code = self._exit_code(node)
        if node.foreign is None:
            event = READY_EVENTS[node.role]
            return NodeStartError(f"{node.name} ended with status {code} before it was up (no event `{event}`)", names)
        program, ready = node.foreign, node.foreign.ready
        what = f"{node.name}: `{program.command(str(node.role))}`"
        reason = self._reported(node)
        if self._lab_state.snapshot(node.name).state.status is NodeStatus.EXITED:
            text = f"{what} ended with status {code} before it was up"
            text += f": {reason}" if reason else ""
            hint = f"`torrentnet inspect` shows how `{program.name}` is started"
            if code == EXIT_NO_COMMAND:
                hint += "; the first word must be a program that its image has"
        else:
            text = f"{what}: {reason}" if reason else f"{what} did not come up within {self._timeout:g} s"
            hint = f"raise `ready: {ready:g}s` of `{program.name}`, or let it listen on the address that it is given"
        lines = [line for line in self._lab_state.last_lines(node.name) if line.strip()]
        text += f"; its last words: {_one_line(lines[-1])}" if lines else "; it has printed nothing"
        return NodeStartError(text, names, f"{hint}; all that it printed is in logs/{node.name}.log of the record")


def _one_line(text: str) -> str:
    """Return a program's words as a part of one line of a report."""
    shown = escape_controls(text.strip())
    return shown if len(shown) <= MAX_QUOTED_CHARS else f"{shown[:MAX_QUOTED_CHARS]} ..."
