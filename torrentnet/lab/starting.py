"""The first nodes of a lab come up: the tracker, then the seeds that are there from its beginning."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from torrentnet.lab.engines.values import NodeStatus
from torrentnet.lab.errors import EXIT_FAILED, LabError
from torrentnet.lab.plan import NodePlan, Plan, Role
from torrentnet.lab.timeline import PARALLEL, is_late

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.board import Board
    from torrentnet.lab.engines.base import Engine

START_S = 30.0
"""For the tracker, and for the first seeds together, to say that they are up."""
START_EACH_S = 1.0
"""More for each of the first seeds."""


class NotUp(LabError):
    """A node's program ended, or said nothing, before the lab could begin."""

    def __init__(self, message: str, nodes: Iterable[str]) -> None:
        super().__init__(message, exit_code=EXIT_FAILED)
        self.nodes = tuple(nodes)


def start_first(plan: Plan, engine: Engine, board: Board) -> None:
    """Start them, and wait until ``board`` has heard that they are up. Raises :class:`NotUp`."""
    tracker = next(node for node in plan.nodes if node.role is Role.TRACKER)
    engine.start(tracker.name)
    _wait(board, [tracker], "listening", START_S)
    seeds = [node for node in plan.nodes if node.role is Role.SHARE and not is_late(node)]
    with ThreadPoolExecutor(PARALLEL, "start") as hands:
        list(hands.map(engine.start, (node.name for node in seeds)))
    _wait(board, seeds, "published", START_S + START_EACH_S * len(seeds))


def _wait(board: Board, nodes: list[NodePlan], event: str, timeout: float) -> None:
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
        raise NotUp(f"{dead[0]} ended with status {code} before it was up (no event `{event}`)", dead)
    if late := missing():
        raise NotUp(f"{', '.join(late[:4])} did not come up within {timeout:g} s (no event `{event}`)", late)
