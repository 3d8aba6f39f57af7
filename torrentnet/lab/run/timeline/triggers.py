"""When an event with ``when`` happens: whether what it waits for is true, from what the nodes have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.scenario.plan import DownTrigger, HasTrigger, Role, SeedTrigger, UpTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan import NodeTrigger
    from torrentnet.runtime.events import Event

READY_EVENTS = {Role.TRACKER: "listening", Role.SHARE: "published", Role.GET: "listening"}
"""The event by which a node says that it is up."""
ROUNDING_TOLERANCE = 1e-9


def is_fulfilled(trigger: NodeTrigger, board: LabState, roles: Mapping[str, Role]) -> bool:
    """Return whether all its nodes fulfil the condition at this moment."""
    return all(_is_fulfilled_by(trigger, node, board, roles[node]) for node in trigger.nodes)


def _is_fulfilled_by(trigger: NodeTrigger, node: str, board: LabState, role: Role) -> bool:
    view = board.view(node)
    running = view.state.status is NodeStatus.RUNNING
    match trigger:
        case HasTrigger():
            return view.pieces > 0 and view.have >= trigger.share * view.pieces - ROUNDING_TOLERANCE
        case DownTrigger():
            return view.state.status is NodeStatus.EXITED
        case UpTrigger():
            return running and _last_event(board, node, READY_EVENTS[role]) is not None
        case SeedTrigger():
            said = _last_event(board, node, "state")
            return running and said is not None and said.matches(state="seed")
        case _:
            return False


def _last_event(board: LabState, node: str, name: str) -> Event | None:
    """A node's last event of a kind in the life that it has now."""
    said, ends = board.events(node, name), board.ends(node)
    return said[-1] if said and (not ends or said[-1].time > ends[-1].time) else None
