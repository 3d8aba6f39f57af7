"""A node's log is followed across restarts, and each line is passed on once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
import requests

from tests.unit.lab.engines.test_steady import Machine
from torrentnet.lab.engines.docker.logs import reopening, streams
from torrentnet.lab.engines.docker.logs.follower import LINE_LIMIT, split_lines
from torrentnet.lab.engines.docker.logs.streams import LogStreams
from torrentnet.lab.engines.steady import EngineStamps
from torrentnet.lab.engines.types import LogLine, NodeStatus, StateChange

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 30.0
HERE = EngineStamps(same_machine=True)


def stamp(second: int, nano: int = 0) -> str:
    return f"2026-11-23T12:29:{second:02}.{nano:09}Z"


def line(second: int, text: str, nano: int = 0) -> bytes:
    return f"{stamp(second, nano)} {text}\n".encode()


class Stream:
    """Yields the pieces; with ``forever`` it ends only when it is closed."""

    def __init__(self, pieces: list[Any], *, forever: bool = False) -> None:
        self._pieces = pieces
        self._forever = forever
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece
        if self._forever:
            self._closed.wait(WAIT_S)

    def close(self) -> None:
        self._closed.set()


class Api:
    """A fake of the engine's API with the log of one container.

    The n-th request gets the n-th list of pieces.
    """

    def __init__(self, runs: list[list[Any]], *events: list[dict[str, Any]]) -> None:
        self.runs = runs
        self.asked: list[int | None] = []
        self.since: list[str | None] = []
        """What each request for events asked for."""
        self._events = list(events)
        self.status = "exited"

    def events(self, *, since: str | None = None, **_: object) -> Stream:
        self.since.append(since)
        if not self._events:
            raise docker.errors.APIError("no more events")
        return Stream(self._events.pop(0), forever=not self._events)

    def logs(self, container: str, *, since: int | None = None, **_: object) -> Stream:
        assert container == "id-1"
        self.asked.append(since)
        if not self.runs:
            raise docker.errors.APIError("no more logs")
        return Stream(self.runs.pop(0))

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"State": {"Status": self.status}}


class Client:
    """The part of the SDK's client that is used."""

    def __init__(self, api: Api) -> None:
        self.api = api


def action(name: str, at: int, **attributes: str) -> dict[str, Any]:
    return {"id": "id-1", "Action": name, "timeNano": at * 10**9, "Actor": {"Attributes": attributes}}


def follow(runs: list[list[Any]], starts: int, wanted: int, stamps: EngineStamps = HERE) -> tuple[list[str], Api]:
    """The lines that are passed on while a container starts ``starts`` times."""
    api = Api(runs, [])
    got: list[str] = []
    enough = threading.Event()

    def on_line(one: LogLine) -> None:
        got.append(one.text)
        if len(got) >= wanted:
            enough.set()

    streams = LogStreams(
        Client(api),  # type: ignore[arg-type]
        "p",
        {"n": "id-1"},
        on_line,
        lambda _: None,
        lambda _, __: None,
        stamps=stamps,
    )
    follower = streams._followers["n"]
    for _ in range(starts):
        before = len(api.asked)
        follower.started()
        for _ in range(3000):
            if len(api.asked) > before:
                break
            threading.Event().wait(0.01)
    assert enough.wait(WAIT_S)
    streams.close()
    return got, api


def test_lines_arrive_in_pieces_and_several_at_once() -> None:
    pieces = [line(1, "one") + line(1, "two")[:10], line(1, "two")[10:], line(2, ""), line(2, "no end")[:-1]]
    assert [text for _, text in split_lines(iter(pieces))] == ["one", "two", "", "no end"]


def test_a_line_without_an_end_is_cut() -> None:
    pieces = [f"{stamp(1)} ".encode(), *[b"x" * 1024] * (LINE_LIMIT // 1024 + 1)]
    assert len(next(split_lines(iter(pieces)))[1]) <= LINE_LIMIT + 2048


def test_after_a_restart_only_new_lines_are_passed_on() -> None:
    first = [line(1, "a"), line(2, "b", 500)]
    second = [line(2, "b", 500), line(2, "c", 501), line(3, "d")]
    got, api = follow([first, second], 2, 4)
    assert got == ["a", "b", "c", "d"]
    # From the whole second of the last line.
    assert api.asked[0] is None
    assert api.asked[1] is not None
    assert api.asked[1] % 60 == 2


def test_lines_with_the_same_time_are_not_lost() -> None:
    first = [line(1, "a"), line(1, "b")]
    second = [line(1, "a"), line(1, "b"), line(1, "c"), line(1, "d")]
    got, _ = follow([first, second], 2, 4)
    assert got == ["a", "b", "c", "d"]


def test_no_line_is_lost_where_the_time_of_day_was_set_back() -> None:
    machine = Machine()
    first = [line(31, "a"), line(32, "b", 500)]
    second = [*first, line(2, "c"), line(3, "d")]

    class Stepping(EngineStamps):
        def place(self, stamp: float, not_before: float) -> float:
            placed = super().place(stamp, not_before)
            machine.wait(1.0)
            machine.set_by -= 30.0
            machine.wait(1.0)
            return placed

    got, api = follow([first, second], 2, 4, Stepping(same_machine=True, clock=machine.clock))
    assert got == ["a", "b", "c", "d"]
    assert api.asked == [None, None]


def test_the_lines_of_another_machines_engine_come_once() -> None:
    first = [line(31, "a"), line(32, "b", 500)]
    got, api = follow([first, [*first, line(2, "c")]], 2, 3, EngineStamps(same_machine=False))
    assert got == ["a", "b", "c"]
    assert api.asked == [None, None]


def test_docker_events_become_state_changes() -> None:
    events = [
        action("start", 1),
        action("pause", 2),
        action("unpause", 3),
        action("exec_create: console", 3),
        action("die", 4, exitCode="137"),
        {**action("start", 5), "id": "somebody else's"},
        action("destroy", 6),
    ]
    seen: list[StateChange] = []
    last = threading.Event()

    def on_state(change: StateChange) -> None:
        seen.append(change)
        if change.state.status is NodeStatus.GONE:
            last.set()

    streams = LogStreams(
        Client(Api([[]], events)),  # type: ignore[arg-type]
        "p",
        {"n": "id-1"},
        lambda _: None,
        on_state,
        lambda _, __: None,
        stamps=HERE,
    )
    assert last.wait(WAIT_S)
    streams.close()
    assert [(one.time, str(one.state)) for one in seen] == [
        (1.0, "running"),
        (2.0, "paused"),
        (3.0, "running"),
        (4.0, "exited (137)"),
        (6.0, "gone"),
    ]


class Followed:
    """A container that is followed while it runs, until something is lost or GONE."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reopening, "REOPEN_DELAYS", (0.0, 0.01, 0.01))
        monkeypatch.setattr(streams, "STATES_TIMEOUT", 0.1)
        self.lines: list[str] = []
        self.states: list[str] = []
        self.lost: list[str] = []
        self._api = api
        self._changed = threading.Condition()
        self.streams = LogStreams(
            Client(api),  # type: ignore[arg-type]
            "p",
            {"n": "id-1"},
            lambda line: self._add(self.lines, line.text),
            lambda change: self._add(self.states, str(change.state)),
            lambda reason, _: self._add(self.lost, reason),
            stamps=HERE,
        )

    def _add(self, to: list[str], text: str) -> None:
        with self._changed:
            to.append(text)
            # The container ends with its last line.
            self._api.status = "exited" if text == "end" else self._api.status
            self._changed.notify_all()

    def wait(self, wanted: list[str], count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(wanted) >= count, WAIT_S), (self.lines, self.states, self.lost)
        self.streams.close()


@pytest.mark.parametrize("broken", [[], [requests.ConnectionError("reset")]])
def test_a_log_that_ends_while_its_node_runs_is_opened_again(
    broken: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = [line(1, "a"), line(2, "b"), line(3, "end")]
    api = Api([[line(1, "a"), *broken], [line(1, "a"), line(2, "b"), *broken], again, again], [])
    api.status = "running"
    followed = Followed(api, monkeypatch)
    followed.streams.open("n")
    followed.wait(followed.lines, 3)
    assert (followed.lines, followed.lost) == (["a", "b", "end"], [])


def test_a_log_that_cannot_be_opened_again_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api([[line(1, "a")]], [])
    api.status = "running"
    followed = Followed(api, monkeypatch)
    followed.streams.open("n")
    followed.wait(followed.lost, 1)
    assert followed.lost == ["the log of n broke off and could not be opened again: no more logs"]


def test_an_event_stream_that_ends_is_opened_again_after_the_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = action("start", 1), action("pause", 2)
    api = Api([[]], [first], [first, second], [second, action("destroy", 3)])
    followed = Followed(api, monkeypatch)
    followed.wait(followed.states, 3)
    assert (followed.states, followed.lost) == (["running", "paused", "gone"], [])
    assert api.since[1:] == ["1.000000000", "2.000000000"]


def test_an_event_stream_that_cannot_be_opened_again_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "__iter__", lambda self: iter(self._pieces))
    followed = Followed(Api([[]], [action("pause", 1)]), monkeypatch)
    followed.wait(followed.lost, 1)
    assert followed.lost == ["Docker's event stream broke off and could not be opened again: it ended"]


def test_an_engine_that_has_forgotten_its_events_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api([[]], [action("start", 1)], [])
    api.status = "exited"
    followed = Followed(api, monkeypatch)
    followed.wait(followed.lost, 1)
    assert followed.lost == ["Docker has lost the events of n; was the Docker Engine restarted?"]


def test_events_after_a_step_back_are_passed_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [action("start", 100), action("die", 40, exitCode="0"), action("start", 41), action("start", 41)]
    followed = Followed(Api([[], []], events), monkeypatch)
    followed.wait(followed.states, 3)
    assert followed.states == ["running", "exited (0)", "running"]
