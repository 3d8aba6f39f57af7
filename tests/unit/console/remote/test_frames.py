"""Requests and frames of the console socket: whole, cut anywhere, and garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.console.remote.frames import (
    MAX_COLUMNS,
    MAX_PAYLOAD,
    MAX_REQUEST,
    CompleteRequest,
    ConsoleRequest,
    FrameError,
    FrameKind,
    FrameReader,
    PingRequest,
    RequestError,
    RunRequest,
    decode_request,
    encode_frame,
    encode_request,
    encode_text,
)

requests = st.one_of(
    st.builds(
        RunRequest,
        st.text(max_size=50) | st.lists(st.text(max_size=20), max_size=5).map(tuple),
        st.none() | st.integers(1, MAX_COLUMNS),
    ),
    st.builds(CompleteRequest, st.text(max_size=50)),
    st.just(PingRequest()),
)


@given(requests)
def test_requests(request: ConsoleRequest) -> None:
    line = encode_request(request)
    assert line.count(b"\n") == 1
    assert decode_request(line) == request


def test_a_name_that_is_not_utf8_arrives_unchanged() -> None:
    name = b"caf\xe9.txt".decode("utf-8", "surrogateescape")
    assert decode_request(encode_request(RunRequest(("file_logs", name)))) == RunRequest(("file_logs", name))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\n", "the request is not a line of JSON in UTF-8"),
        (b"request logs\n", "the request is not a line of JSON in UTF-8"),
        (b'"\xff"\n', "the request is not a line of JSON in UTF-8"),
        (b"[" * 4000 + b"\n", "the request is not a line of JSON in UTF-8"),
        (b"5\n", "the request is not a string, an array of strings, run, complete, ping or attach"),
        (b'["a", 5]\n', "the request is not a string, an array of strings, run, complete, ping or attach"),
        *(
            (line, "the request is not a string, an array of strings, run, complete, ping or attach")
            for line in (
                b'{"run": "peers"}\n',
                b'{"run": "peers", "columns": 0}\n',
                b'{"run": "peers", "columns": 10001}\n',
                b'{"run": ["peers", 5], "columns": 80}\n',
                b'{"run": 5, "columns": 80}\n',
            )
        ),
        (b'{"complete": 5}\n', "the request is not a string, an array of strings, run, complete, ping or attach"),
        (b'"' + b"x" * MAX_REQUEST + b'"\n', "the request is too long: at most 4096 bytes are allowed"),
    ],
)
def test_messages_about_requests(line: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_request(line)
    assert str(caught.value) == message


def test_a_request_that_is_too_long_is_not_encoded() -> None:
    with pytest.raises(RequestError) as caught:
        encode_request(RunRequest(("x" * 5000,)))
    assert str(caught.value) == "the command is too long: 5005 bytes, at most 4096 are allowed"


@given(st.binary(max_size=100))
def test_garbage_is_a_request_or_the_one_error(line: bytes) -> None:
    try:
        request = decode_request(line)
    except RequestError:
        return
    assert decode_request(encode_request(request)) == request


frames = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=40)), max_size=6)


@given(frames, st.integers(1, 50))
def test_frames_cut_anywhere(sent: list[tuple[FrameKind, bytes]], step: int) -> None:
    stream = b"".join(encode_frame(kind, payload) for kind, payload in sent)
    assert FrameReader().feed(stream) == sent
    for size in (1, step):
        reader = FrameReader()
        found = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]
        assert found == sent


@given(frames)
def test_truncated_frames_are_waited_for(sent: list[tuple[FrameKind, bytes]]) -> None:
    stream = b"".join(encode_frame(kind, payload) for kind, payload in sent)
    for length in range(len(stream)):
        found = FrameReader().feed(stream[:length])
        assert found == sent[: len(found)]
        assert len(found) < len(sent)


def test_a_text_longer_than_a_frame_is_cut_between_characters() -> None:
    text = "ü文\U0001f600" * 20_000
    found = FrameReader().feed(b"".join(encode_text(FrameKind.OUT, text)))
    assert len(found) > 1
    assert "".join(payload.decode() for _, payload in found) == text


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"HTTP/1.1 400 Bad", "what answers at the socket is not a console: unknown kind of frame"),
        (b"o\xff\xff\xff\xff", "what answers at the socket is not a console: a frame is too long"),
    ],
)
def test_other_bytes_are_not_a_reply(stream: bytes, message: str) -> None:
    with pytest.raises(FrameError) as caught:
        FrameReader().feed(stream)
    assert str(caught.value) == message


@given(st.binary(max_size=60))
def test_garbage_is_frames_or_the_one_error(stream: bytes) -> None:
    reader = FrameReader()
    try:
        for byte in stream:
            reader.feed(bytes([byte]))
    except FrameError:
        return
    assert len(reader._buffer) <= len(stream)


def test_a_frame_is_bounded() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_frame(FrameKind.OUT, bytes(MAX_PAYLOAD + 1))
