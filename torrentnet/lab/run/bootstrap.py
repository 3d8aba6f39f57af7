"""The first nodes of a lab come up: the tracker, then the seeds that are there from its beginning."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EXIT_FAILED, LabError
from torrentnet.lab.run.timeline.event_executor import MAX_PARALLEL_NODES
from torrentnet.lab.run.timeline.timeline import starts_late
from torrentnet.lab.scenario.plan import NodePlan, Plan, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.lab_state import LabState

START_TIMEOUT = 30.0
"""For the tracker, and for the first seeds together, to say that they are up."""
START_TIMEOUT_PER_SEED = 1.0
"""More for each of the first seeds."""


class NodeStartError(LabError):
    """A node's program ended, or said nothing, before the lab could begin."""

    def __init__(self, message: str, nodes: Iterable[str]) -> None:
        super().__init__(message, exit_code=EXIT_FAILED)
        self.nodes = tuple(nodes)


def start_initial_nodes(plan: Plan, engine: Engine, board: LabState) -> None:
    """Start them, and wait until ``board`` has heard that they are up. Raises :class:`NodeStartError`."""
    tracker = next(node for node in plan.nodes if node.role is Role.TRACKER)
    engine.start(tracker.name)
    _wait_for_event(board, [tracker], "listening", START_TIMEOUT)
    seeds = [node for node in plan.nodes if node.role is Role.SHARE and not starts_late(node)]
    with ThreadPoolExecutor(MAX_PARALLEL_NODES, "start") as hands:
        list(hands.map(engine.start, (node.name for node in seeds)))
    _wait_for_event(board, seeds, "published", START_TIMEOUT + START_TIMEOUT_PER_SEED * len(seeds))


def _wait_for_event(board: LabState, nodes: list[NodePlan], event: str, timeout: float) -> None:
    """Wait until each node has said ``event``. Raises NotUp when one ends before, or time is up."""

    def missing() -> list[str]:
        return [node.name for node in nodes if not board.events(node.name, event)]

    def ended() -> list[str]:
        return [name for name in missing() if board.view(name).state.status is NodeStatus.EXITED]

    board.wait_until(lambda: not missing() or bool(ended()), timeout)
    # The last lines of a node that has ended may come a moment after the news of its end.
    if ended() and board.wait_until(lambda: not missing(), 0.5):
        return
    if dead := ended():
        code = board.view(dead[0]).state.exit_code
        raise NodeStartError(f"{dead[0]} ended with status {code} before it was up (no event `{event}`)", dead)
    if late := missing():
        raise NodeStartError(f"{', '.join(late[:4])} did not come up within {timeout:g} s (no event `{event}`)", late)
