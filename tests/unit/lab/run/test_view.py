"""A view that hangs or fails holds up nobody."""

from __future__ import annotations

import threading

from torrentnet.lab.run.view import DetachedView, LabView

WAIT = 30.0


class Recording(LabView):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.go_on = threading.Event()

    def print_line(self, line: str) -> None:
        if line == "wait":
            self.go_on.wait(WAIT)
        if line == "exit":
            raise SystemExit(1)
        self.lines.append(line)


def test_calls_are_passed_on_in_order() -> None:
    view = Recording()
    detached = DetachedView(view)
    for number in range(100):
        detached.print_line(str(number))
    detached.drain(WAIT)
    assert view.lines == [str(number) for number in range(100)]


def test_no_call_waits_for_a_view_that_hangs() -> None:
    view = Recording()
    detached = DetachedView(view)
    for line in ("wait", "later"):
        detached.print_line(line)
    detached.drain(0.01)
    assert view.lines == []
    view.go_on.set()
    detached.drain(WAIT)
    assert view.lines == ["wait", "later"]


def test_a_view_that_fails_is_silent() -> None:
    # As rich does it where the reader of a pipe has gone.
    view = Recording()
    detached = DetachedView(view)
    for line in ("one", "exit", "two"):
        detached.print_line(line)
    detached.drain(WAIT)
    assert view.lines == ["one"]


def test_a_closed_view_leaves_no_thread() -> None:
    detached = DetachedView(LabView())
    detached.print_line("x")
    detached.close(WAIT)
    detached._thread.join(WAIT)
    assert not detached._thread.is_alive()


def test_patience_limits_the_wait_for_a_view_that_hangs() -> None:
    view = Recording()
    detached = DetachedView(view)
    detached.patience = 0.01
    detached.print_line("wait")
    detached.close()
    assert view.lines == []
    view.go_on.set()
