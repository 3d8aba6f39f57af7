"""When an event with ``when`` happens: whether what it waits for is true, from what the nodes have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.engines.values import NodeStatus
from torrentnet.lab.plan import Cause, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.board import Board
    from torrentnet.lab.events import Event
    from torrentnet.lab.plan import Trigger

SAID_UP = {Role.TRACKER: "listening", Role.SHARE: "published", Role.GET: "listening"}
"""The event by which a node says that it is up."""
ROUNDING = 1e-9


def is_true(trigger: Trigger, board: Board, roles: Mapping[str, Role]) -> bool:
    """Whether it is true of all its nodes at this moment. Never of one that waits for another event."""
    if trigger.cause is Cause.AFTER:
        return False
    return all(_holds(trigger, node, board, roles[node]) for node in trigger.nodes)


def _holds(trigger: Trigger, node: str, board: Board, role: Role) -> bool:
    view = board.view(node)
    running = view.state.status is NodeStatus.RUNNING
    match trigger.cause:
        case Cause.HAS:
            return view.pieces > 0 and view.have >= trigger.share * view.pieces - ROUNDING
        case Cause.DOWN:
            return view.state.status is NodeStatus.EXITED
        case Cause.UP:
            return running and _last(board, node, SAID_UP[role]) is not None
        case Cause.SEED:
            said = _last(board, node, "state")
            return running and said is not None and said.matches(state="seed")
        case _:
            return False


def _last(board: Board, node: str, name: str) -> Event | None:
    """A node's last event of a kind in the life that it has now."""
    said, ends = board.events(node, name), board.ends(node)
    return said[-1] if said and (not ends or said[-1].time > ends[-1].time) else None
