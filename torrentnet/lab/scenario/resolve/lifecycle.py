"""Which nodes run when, as far as the timeline alone decides it.

An event that meets nobody fails the run; what is certain before the run is said before it. What waits for something
(``when``) may happen at any time: of the nodes that it meets nothing is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.units import show_duration
from torrentnet.lab.scenario.plan import Verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.plan import EventPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext

_ENDING_VERBS = {Verb.KILL: "killed", Verb.STOP: "stopped"}
LIFECYCLE_VERBS = frozenset({Verb.KILL, Verb.STOP, Verb.PAUSE, Verb.RESTART, Verb.START})
COMMAND_VERBS = frozenset({Verb.RUN, Verb.CONSOLE})
_CHECKED_VERBS = LIFECYCLE_VERBS | COMMAND_VERBS
"""Events that need a node in a certain state; the network's state is set whatever the nodes do."""


class NodeLifecycles:
    """Follows the nodes through the events with a planned time, in their order."""

    def __init__(self, context: ResolveContext, unsure: Iterable[str], *, healed: bool) -> None:
        """``unsure``: nodes that an event with ``when`` meets. ``healed``: whether a pause may end before its time."""
        self._context = context
        self._unsure = frozenset(unsure)
        self._healed = healed
        self._ended: dict[str, EventPlan] = {}
        self._paused: dict[str, tuple[float, EventPlan]] = {}

    def able(self, verb: Verb, name: str, at: float) -> bool:
        """Whether the event could change something about the node then; a random choice is made among those."""
        if name in self._unsure:
            return True
        if at < self._context.nodes[name].start:
            return False
        if verb is Verb.START:
            return name in self._ended
        if verb is Verb.RESTART:
            return True
        return name not in self._ended and not (verb in COMMAND_VERBS | {Verb.PAUSE} and self._pause_of(name, at))

    def take(self, loc: KeyPath, event: EventPlan) -> None:
        """Note what the event cannot do, and follow what it does."""
        if event.verb not in _CHECKED_VERBS:
            return
        place = (*loc, "node" if event.verb in COMMAND_VERBS else str(event.verb))
        for name in event.nodes:
            if name not in self._unsure and self._possible(place, event, name):
                self._follow(event, name)

    def _possible(self, place: KeyPath, event: EventPlan, name: str) -> bool:
        start = self._context.nodes[name].start
        if event.at < start:
            self._context.note(
                place, f"`{name}` starts at {show_duration(start)}, which is later: there is nothing to {event.verb}"
            )
            return False
        ended = self._ended.get(name)
        if ended is not None and event.verb not in {Verb.START, Verb.RESTART}:
            self._context.note(
                place,
                f"`{name}` was {_ENDING_VERBS[ended.verb]} at {show_duration(ended.at)} already",
                f"`start: {name}` in between would bring it back",
            )
            return False
        paused = self._pause_of(name, event.at)
        if paused is not None and event.verb in COMMAND_VERBS | {Verb.PAUSE}:
            self._context.note(
                place,
                f"`{name}` is paused from {show_duration(paused.at)} on, "
                + (f"for {show_duration(paused.lasts)}" if paused.lasts is not None else "for the rest"),
                "in a paused node nothing runs",
            )
            return False
        return True

    def _pause_of(self, name: str, at: float) -> EventPlan | None:
        end, event = self._paused.get(name, (0.0, None))
        return event if at < end and not self._healed else None

    def _follow(self, event: EventPlan, name: str) -> None:
        if event.verb in COMMAND_VERBS:
            return
        self._paused.pop(name, None)
        if event.verb is Verb.PAUSE:
            end = float("inf") if event.lasts is None else event.at + event.lasts
            self._paused[name] = (end, event)
        elif event.verb in _ENDING_VERBS:
            self._ended[name] = event
        else:
            self._ended.pop(name, None)
