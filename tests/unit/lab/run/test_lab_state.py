"""What is known of the nodes, and waiting for it to change."""

from __future__ import annotations

import threading

from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.run.lab_state import MAX_EVENT_NAMES, MAX_EVENTS, MAX_LAST_LINES, LabState
from torrentnet.runtime.events import Event

TIME = "2026-11-23T12:29:11.123Z"
LONG_S = 30.0


def say(board: LabState, text: str, at: float = 0.0) -> None:
    board.take_line(LogLine("n", at, f"{TIME} {text}"))


def test_progress_is_seen_and_only_the_last_is_kept() -> None:
    board = LabState(["n"])
    for have in range(5):
        say(board, f"progress file=a have={have} pieces=8")
    say(board, "picked peer=s among=1")
    say(board, "state state=get file=a")
    view = board.view("n")
    assert (view.have, view.pieces, view.source, view.doing) == (4, 8, "s", "get")
    assert board.events("n", "progress") == []


def test_the_first_event_of_some_kinds_since_a_time() -> None:
    board = LabState(["n"])
    say(board, "left peer=a", 3.0)
    say(board, "forgotten peer=a", 2.0)
    say(board, "forgotten peer=b", 1.0)
    first = board.first("n", "forgotten", "left", peer="a")
    assert first is not None
    assert first.time == 2.0
    later = board.first("n", "forgotten", "left", peer="a", since=2.5)
    assert later is not None
    assert later.name == "left"
    assert board.first("n", "forgotten", peer="c") is None


def test_a_start_forgets_what_the_last_run_was_doing() -> None:
    board = LabState(["n"])
    say(board, "state state=seed file=a")
    running = NodeState(NodeStatus.RUNNING)
    board.take_state(StateChange("n", 1.0, running))
    assert board.view("n").doing == ""
    say(board, "state state=seed file=a")
    board.take_state(StateChange("n", 2.0, NodeState(NodeStatus.PAUSED)))
    board.take_state(StateChange("n", 3.0, running))
    # A pause is no new run.
    assert (board.view("n").doing, board.view("n").starts) == ("seed", 1)


def test_memory_is_bounded_whatever_a_node_prints() -> None:
    board = LabState(["n"])
    for index in range(MAX_EVENTS + 10):
        say(board, f"picked peer=p{index}")
    assert len(board.events("n", "picked")) == MAX_EVENTS
    assert board.events("n", "picked")[-1].fields["peer"] == f"p{MAX_EVENTS + 9}"
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [first + second for first in letters for second in letters]
    for name in names:
        say(board, name)
    assert sum(bool(board.events("n", name)) for name in names) == MAX_EVENT_NAMES - 1
    assert len(board.last_lines("n")) == MAX_LAST_LINES


def test_everything_is_recorded_and_told() -> None:
    recorded: list[tuple[str, bool]] = []
    told: list[Event | StateChange] = []
    board = LabState(["n"], lambda line, event: recorded.append((line.text, event is not None)))
    board.listen(told.append)
    say(board, "picked peer=x")
    board.take_line(LogLine("n", 0.0, "plain text"))
    board.take_state(StateChange("n", 0.0, NodeState(NodeStatus.EXITED, 1)))
    assert recorded == [(f"{TIME} picked peer=x", True), ("plain text", False)]
    assert [type(one) for one in told] == [Event, StateChange]


def test_waiting_ends_with_what_is_waited_for() -> None:
    board = LabState(["n"])
    waiting = threading.Event()
    answers: list[bool] = []

    def condition() -> bool:
        waiting.set()
        return bool(board.events("n", "completed"))

    thread = threading.Thread(target=lambda: answers.append(board.wait_until(condition, LONG_S)))
    thread.start()
    assert waiting.wait(LONG_S)
    say(board, "picked peer=x")
    say(board, "completed file=a")
    thread.join(LONG_S)
    assert answers == [True]


def test_waiting_in_vain() -> None:
    assert not LabState(["n"]).wait_until(lambda: False, 0.01)
