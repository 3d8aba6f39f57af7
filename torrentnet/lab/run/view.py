"""The interface by which a lab reports its progress, for the command line to show.

What a view does never affects the lab: :class:`DetachedView` calls it on a thread of its own.
"""

from __future__ import annotations

import threading
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.engines.types import StateChange
    from torrentnet.lab.run.lab_state import LabClock, LabState
    from torrentnet.lab.run.timeline.schedule import AppliedEvent
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.runtime.events import Event

MAX_PENDING_CALLS: Final = 20_000
"""Calls that wait for a view which is slow, or whose reader has stopped reading; further news is dropped."""


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

    def event_begun(self, text: str, began: float) -> None:
        """Show that an item of the timeline begins, at a time after t = 0."""

    def event_applied(self, event: AppliedEvent) -> None:
        """Show the result of an item of the timeline."""

    def node_changed(self, news: Event | StateChange) -> None:
        """Show an event that a node has printed, or a change of its state."""


class DetachedView(LabView):
    """Passes every call on to another view, in order, on a thread of its own.

    No call waits for the other view, or raises what it raises: a reader that stops reading stops nothing but the
    display. After the other view's first exception nothing more is shown.
    """

    def __init__(self, view: LabView) -> None:
        self._view = view
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._broken = self._ended = False
        self.patience: float | None = None
        """Seconds that :meth:`drain` waits at most where its caller names no time; None for no limit."""
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)
        self._thread.start()

    def print_line(self, line: str) -> None:
        self._add(self._view.print_line, line)

    def start(self, plan: Plan, lab_state: LabState) -> None:
        self._add(self._view.start, plan, lab_state)

    def set_clock(self, clock: LabClock) -> None:
        self._add(self._view.set_clock, clock)

    def stop(self) -> None:
        self._add(self._view.stop)

    def event_begun(self, text: str, began: float) -> None:
        self._add(self._view.event_begun, text, began)

    def event_applied(self, event: AppliedEvent) -> None:
        self._add(self._view.event_applied, event)

    def node_changed(self, news: Event | StateChange) -> None:
        if self._calls.qsize() < MAX_PENDING_CALLS:
            self._add(self._view.node_changed, news)

    def drain(self, timeout: float | None = None) -> None:
        """Wait until everything so far has been shown, at most ``timeout`` seconds."""
        shown = threading.Event()
        self._calls.put(shown.set)
        shown.wait(self.patience if timeout is None else timeout)

    def close(self, timeout: float | None = None) -> None:
        """Wait as :meth:`drain` does, and end the thread; nothing is shown afterwards."""
        self.drain(timeout)
        self._calls.put(self._end)

    def _end(self) -> None:
        self._ended = True

    def _add(self, call: Callable[..., None], *arguments: object) -> None:
        self._calls.put(partial(self._show, call, *arguments))

    def _show(self, call: Callable[..., None], *arguments: object) -> None:
        if self._broken:
            return
        try:
            call(*arguments)
        except BaseException:  # rich ends a thread with SystemExit where the reader of a pipe has gone
            self._broken = True

    def _run(self) -> None:
        block_signals()
        while not self._ended:
            self._calls.get()()
