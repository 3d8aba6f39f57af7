"""The interface by which a lab reports its progress, for the command line to show.

Tested by tests/unit/lab/cli/test_progress.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.lab.engines.types import StateChange
    from torrentnet.lab.run.lab_state import LabClock, LabState
    from torrentnet.lab.run.timeline.schedule import AppliedEvent
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.runtime.events import Event


class LabView:
    """A view that shows nothing. Its methods are called from several threads."""

    def print_line(self, line: str) -> None:
        """Show one line of text."""

    def start(self, plan: Plan, lab_state: LabState) -> None:
        """Show the nodes of a plan from now on."""

    def set_clock(self, clock: LabClock) -> None:
        """Note the clock: t = 0 is now."""

    def stop(self) -> None:
        """Stop showing the nodes."""

    def event_applied(self, event: AppliedEvent) -> None:
        """Show the result of an item of the timeline."""

    def node_changed(self, news: Event | StateChange) -> None:
        """Show an event that a node has printed, or a change of its state."""
