"""Evaluation of triggers (``when``) from the nodes' events and states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.scenario.plan.events import DownTrigger, HasTrigger, SeedTrigger, UpTrigger
from torrentnet.lab.scenario.plan.plan import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.scenario.plan.events import NodeTrigger
    from torrentnet.runtime.events import Event

READY_EVENTS: Final = {Role.TRACKER: "listening", Role.SHARE: "published", Role.GET: "listening", Role.RUN: "listening"}
"""The event by which a node reports that it is up."""
ROUNDING_TOLERANCE: Final = 1e-9


def is_fulfilled(trigger: NodeTrigger, lab_state: LabState, roles: Mapping[str, Role]) -> bool:
    """Return whether all nodes of the trigger fulfil its condition at this moment."""
    return all(_is_fulfilled_by(trigger, node, lab_state, roles[node]) for node in trigger.nodes)


def _is_fulfilled_by(trigger: NodeTrigger, node: str, lab_state: LabState, role: Role) -> bool:
    snapshot = lab_state.snapshot(node)
    running = snapshot.state.status is NodeStatus.RUNNING
    match trigger:
        case HasTrigger():
            return snapshot.pieces > 0 and snapshot.have >= trigger.share * snapshot.pieces - ROUNDING_TOLERANCE
        case DownTrigger():
            return snapshot.state.status is NodeStatus.EXITED
        case UpTrigger():
            return running and _last_event(lab_state, node, READY_EVENTS[role]) is not None
        case SeedTrigger():
            event = _last_event(lab_state, node, "state")
            return running and event is not None and event.matches(state="seed")
        case _:
            return False


def _last_event(lab_state: LabState, node: str, name: str) -> Event | None:
    """Return a node's last event of this name since its program was last started."""
    events, exits = lab_state.events(node, name), lab_state.exits(node)
    return events[-1] if events and (not exits or events[-1].time > exits[-1].time) else None
