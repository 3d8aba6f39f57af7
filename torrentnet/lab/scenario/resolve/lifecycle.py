"""Which nodes run when, as far as the events with a planned time decide it.

An event that affects no node fails the run; what is certain before the run is reported before it. An event that waits
for a condition may happen at any time, so that nothing is certain of the nodes that it affects.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.resolve.context import ResolveContext
    from torrentnet.lab.scenario.resolve.event_refs import EventRef

_PARTICIPLES: Final = {"kill": "killed", "stop": "stopped"}
LIFECYCLE_VERBS: Final = frozenset({"kill", "stop", "pause", "restart", "start"})
COMMAND_VERBS: Final = frozenset({"run", "console"})
_NEED_A_PROCESS: Final = COMMAND_VERBS | {"pause"}
"""What cannot be done to a node that has ended or is paused."""


class NodeLifecycles:
    """Follows the nodes through the events with a planned time, in their order."""

    def __init__(self, context: ResolveContext, uncertain: Iterable[str], *, healed: bool) -> None:
        """Start with all nodes as they are at t = 0.

        ``uncertain`` are the nodes that an event with ``when`` affects; ``healed`` says whether a pause may end early.
        """
        self._context = context
        self._uncertain = frozenset(uncertain)
        self._healed = healed
        self._ended: dict[str, EventRef] = {}
        self._paused: dict[str, tuple[float, EventRef]] = {}

    def can_affect(self, verb: str, name: str, at: float) -> bool:
        """Return whether an event could change something about the node then; random choices are made among those."""
        if name in self._uncertain:
            return True
        if at < self._context.nodes[name].start:
            return False
        if verb == "start":
            return name in self._ended
        if verb == "restart":
            return True
        return name not in self._ended and not (verb in _NEED_A_PROCESS and self._pause_of(name, at))

    def apply(self, event: EventRef, at: float) -> None:
        """Record the nodes that the event cannot affect, and follow the others."""
        if event.verb not in LIFECYCLE_VERBS | COMMAND_VERBS:
            return
        place = (*event.loc, "node" if event.verb in COMMAND_VERBS else event.verb)
        for name in event.nodes:
            if name not in self._uncertain and self._check(place, event, at, name):
                self._follow(event, at, name)

    def _check(self, place: KeyPath, event: EventRef, at: float, name: str) -> bool:
        start = self._context.nodes[name].start
        if at < start:
            self._context.note(
                place, f"`{name}` starts later, at {format_duration(start)}", f"{event.verb} it after that"
            )
            return False
        ended = self._ended.get(name)
        if ended is not None and event.verb not in {"start", "restart"}:
            self._context.note(
                place,
                f"`{name}` was {_PARTICIPLES[ended.verb]} at {format_duration(ended.at or 0.0)} already",
                f"start it before: `start: {name}`",
            )
            return False
        paused = self._pause_of(name, at)
        if paused is not None and event.verb in _NEED_A_PROCESS:
            self._context.note(
                place,
                f"`{name}` is paused from {format_duration(paused.at or 0.0)} on, "
                + (f"for {format_duration(paused.lasts)}" if paused.lasts is not None else "for the rest of the run"),
                "nothing runs in a paused node",
            )
            return False
        return True

    def _pause_of(self, name: str, at: float) -> EventRef | None:
        end, event = self._paused.get(name, (0.0, None))
        return event if at < end and not self._healed else None

    def _follow(self, event: EventRef, at: float, name: str) -> None:
        if event.verb in COMMAND_VERBS:
            return
        self._paused.pop(name, None)
        if event.verb == "pause":
            self._paused[name] = (math.inf if event.lasts is None else at + event.lasts, event)
        elif event.verb in _PARTICIPLES:
            self._ended[name] = event
        else:
            self._ended.pop(name, None)
