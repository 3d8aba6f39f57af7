"""The state of the nodes, and waits for its changes."""

from __future__ import annotations

import threading

from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.lab_state import MAX_EVENTS, MAX_LAST_LINES, LabState
from torrentnet.runtime.events import Event

TIME = "2026-11-23T12:29:11.123Z"
LONG_TIMEOUT = 30.0


def say(lab_state: LabState, text: str, at: float = 0.0) -> None:
    lab_state.add_line(LogLine("n", at, f"{TIME} {text}"))


def test_only_the_last_progress_is_kept() -> None:
    lab_state = LabState(["n"])
    for have in range(5):
        say(lab_state, f"progress file=a have={have} pieces=8")
    say(lab_state, "picked peer=s among=1")
    say(lab_state, "state state=get file=a")
    view = lab_state.snapshot("n")
    assert (view.have, view.pieces, view.source, view.doing) == (4, 8, "s", "get")
    assert lab_state.events("n", "progress") == []


def test_the_first_event_of_some_names_since_a_time() -> None:
    lab_state = LabState(["n"])
    say(lab_state, "left peer=a", 3.0)
    say(lab_state, "forgotten peer=a", 2.0)
    say(lab_state, "forgotten peer=b", 1.0)
    first = lab_state.first("n", "forgotten", "left", peer="a")
    assert first is not None
    assert first.time == 2.0
    later = lab_state.first("n", "forgotten", "left", peer="a", since=2.5)
    assert later is not None
    assert later.name == "left"
    assert lab_state.first("n", "forgotten", peer="c") is None


def test_a_start_resets_the_peers_state() -> None:
    lab_state = LabState(["n"])
    say(lab_state, "state state=seed file=a")
    running = NodeState(NodeStatus.RUNNING)
    lab_state.add_state(StateChange("n", 1.0, running))
    assert lab_state.snapshot("n").doing == ""
    say(lab_state, "state state=seed file=a")
    lab_state.add_state(StateChange("n", 2.0, NodeState(NodeStatus.PAUSED)))
    lab_state.add_state(StateChange("n", 3.0, running))
    # A pause is no new run.
    assert (lab_state.snapshot("n").doing, lab_state.snapshot("n").starts) == ("seed", 1)


def test_memory_is_bounded_whatever_a_node_prints() -> None:
    lab_state = LabState(["n"])
    for index in range(MAX_EVENTS + 10):
        say(lab_state, f"picked peer=p{index}")
    assert len(lab_state.events("n", "picked")) == MAX_EVENTS
    assert lab_state.events("n", "picked")[-1].fields["peer"] == f"p{MAX_EVENTS + 9}"
    assert len(lab_state.last_lines("n")) == MAX_LAST_LINES


def test_lines_are_recorded_and_events_published() -> None:
    recorded: list[tuple[str, bool]] = []
    published: list[Event | StateChange] = []
    lab_state = LabState(["n"], lambda read: recorded.append((read.line.text, read.event is not None)))
    lab_state.subscribe(published.append)
    say(lab_state, "picked peer=x")
    lab_state.add_line(LogLine("n", 0.0, "plain text"))
    lab_state.add_state(StateChange("n", 0.0, NodeState(NodeStatus.EXITED, 1)))
    assert recorded == [(f"{TIME} picked peer=x", True), ("plain text", False)]
    assert [type(one) for one in published] == [Event, StateChange]


def test_a_wait_ends_when_its_condition_holds() -> None:
    lab_state = LabState(["n"])
    waiting = threading.Event()
    answers: list[bool] = []

    def condition() -> bool:
        waiting.set()
        return bool(lab_state.events("n", "completed"))

    thread = threading.Thread(target=lambda: answers.append(lab_state.wait_until(condition, LONG_TIMEOUT)))
    thread.start()
    assert waiting.wait(LONG_TIMEOUT)
    say(lab_state, "picked peer=x")
    say(lab_state, "completed file=a")
    thread.join(LONG_TIMEOUT)
    assert answers == [True]


def test_a_wait_ends_when_time_is_up() -> None:
    assert not LabState(["n"]).wait_until(lambda: False, 0.01)
