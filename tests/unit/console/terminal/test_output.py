"""The queue before standard output is bounded, and a write never raises."""

from __future__ import annotations

import io
import os

import pytest

from torrentnet.console.terminal.output import MAX_PENDING_CHARS, MAX_PENDING_LINES, OutputQueue, OutputStream, Waker


def test_the_queue_is_bounded_and_says_what_it_lost() -> None:
    outbox = OutputQueue()
    assert outbox.put("first")
    for _ in range(MAX_PENDING_LINES + 9):
        assert not outbox.put("x")
    taken = outbox.take()
    assert taken[0] == "first"
    assert len(taken) == MAX_PENDING_LINES + 1
    assert taken[-1] == "(lines missing here: 10; standard output was not read fast enough)"
    assert outbox.take() == []
    outbox.put("x" * MAX_PENDING_CHARS)
    outbox.put("y")
    assert outbox.take()[1:] == ["(lines missing here: 1; standard output was not read fast enough)"]
    assert outbox.put("again")


def test_many_lines_at_once_are_bounded_alike_and_wake_once() -> None:
    outbox = OutputQueue()
    assert not outbox.put_all([])
    assert outbox.put_all(["a", "b"])
    assert not outbox.put_all(["c"])
    assert outbox.take() == ["a", "b", "c"]
    assert outbox.put_all(["x"] * (MAX_PENDING_LINES + 10))
    taken = outbox.take()
    assert len(taken) == MAX_PENDING_LINES + 1
    assert taken[-1] == "(lines missing here: 10; standard output was not read fast enough)"
    assert outbox.put_all(["first", "x" * MAX_PENDING_CHARS, "last"])
    assert outbox.take() == [
        "first",
        "last",
        "(lines missing here: 1; standard output was not read fast enough)",
    ]


def test_a_write_to_a_closed_pipe_is_counted() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    with os.fdopen(write_fd, "w", encoding="utf-8") as stdout:
        output = OutputStream(stdout)
        assert not output.write("x")
        assert output.failed == 1


def test_a_stream_without_a_descriptor_is_written_to() -> None:
    stream = io.StringIO()
    output = OutputStream(stream)
    assert output.fd is None
    assert output.write("line\n")
    assert stream.getvalue() == "line\n"


def test_a_waker_is_readable_until_it_is_drained() -> None:
    waker = Waker()
    waker.wake()
    waker.wake()
    assert os.read(waker.fd, 1) == b"\0"
    waker.drain()
    with pytest.raises(BlockingIOError):
        os.read(waker.fd, 1)
