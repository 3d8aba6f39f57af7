"""The protocol of the console socket, as bytes.

A request is one line, the answer consists of frames.

Request: one line of JSON, at most :data:`MAX_REQUEST` bytes with its newline::

    ["file_logs", "my file.txt"]     a command, as words
    "file_logs 'my file.txt'"        a command, as a line that the node splits
    {"run": ["peers"], "columns": 80}   either of these, for a terminal of so many columns
    {"complete": "file_logs my"}     candidates for the last word
    {"ping": true}                   the program and the node's name
    {"attach": true}                 the terminal of an observed program; what follows the line is typed there

Answer: frames of a kind (1 byte), the payload's length (u32, big endian) and the payload; the last one is the status.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_REQUEST: Final = 4096
"""Bytes of a request, newline included."""
MAX_COLUMNS: Final = 10_000
"""Of a reader's terminal."""
MAX_PAYLOAD: Final = 64 * 1024
"""Bytes of one frame's payload."""
_HEADER: Final = Struct(">cI")


class FrameKind(Enum):
    """What a frame carries."""

    OUT = b"o"
    """A part of the answer: UTF-8 text with its newlines, cut anywhere between characters."""
    ERR = b"e"
    """An error message: UTF-8 text with its newlines."""
    WORDS = b"w"
    """Completions: a JSON array of words."""
    NODE = b"n"
    """The reply to a ping: a JSON object with program and name."""
    STATUS = b"s"
    """The exit status, in decimal. The last frame."""


class RequestError(ValueError):
    """The request is not one of the six, or is too long. The message is for the user."""


class FrameError(ValueError):
    """The answer does not consist of frames. The message is for the user."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A command to execute."""

    command: str | tuple[str, ...]
    """A line, or its words."""
    columns: int | None = None
    """Of the reader's terminal, into which tables fit; None for a pipe."""


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """A line to complete."""

    text: str


@dataclass(frozen=True, slots=True)
class PingRequest:
    """Ask for the program and the node's name."""


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """Connect with the program's own terminal, in both directions."""


ConsoleRequest = RunRequest | CompleteRequest | PingRequest | AttachRequest


def encode_request(request: ConsoleRequest) -> bytes:
    """Return the request as a line.

    Raises RequestError when the line is longer than :data:`MAX_REQUEST`.
    """
    match request:
        case RunRequest(command, columns):
            body: object = command if columns is None else {"run": command, "columns": columns}
        case CompleteRequest(text):
            body = {"complete": text}
        case PingRequest():
            body = {"ping": True}
        case AttachRequest():
            body = {"attach": True}
    line = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
    if len(line) > MAX_REQUEST:
        raise RequestError(f"the command is too long: {len(line)} bytes, at most {MAX_REQUEST} are allowed")
    return line


def decode_request(line: bytes) -> ConsoleRequest:
    """Parse a line as a request. Raises RequestError."""
    if len(line) > MAX_REQUEST:
        raise RequestError(f"the request is too long: at most {MAX_REQUEST} bytes are allowed")
    try:
        body = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise RequestError("the request is not a line of JSON in UTF-8") from None
    match body:
        case str():
            return RunRequest(body)
        case list() if all(isinstance(word, str) for word in body):
            return RunRequest(tuple(body))
        case {"run": str() | list() as command, "columns": int(columns)} if 0 < columns <= MAX_COLUMNS:
            if isinstance(command, str):
                return RunRequest(command, columns)
            if all(isinstance(word, str) for word in command):
                return RunRequest(tuple(command), columns)
        case {"complete": str(text)}:
            return CompleteRequest(text)
        case {"ping": True}:
            return PingRequest()
        case {"attach": True}:
            return AttachRequest()
    raise RequestError("the request is not a string, an array of strings, run, complete, ping or attach")


def encode_frame(kind: FrameKind, payload: bytes) -> bytes:
    """Return one frame as bytes.

    Raises ValueError when *payload* is longer than :data:`MAX_PAYLOAD`.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame carries at most {MAX_PAYLOAD} bytes, not {len(payload)}")
    return _HEADER.pack(kind.value, len(payload)) + payload


def encode_text(kind: FrameKind, text: str) -> Iterator[bytes]:
    """Yield the frames of a text of any length, cut between characters."""
    step = MAX_PAYLOAD // 4
    for start in range(0, len(text), step):
        yield encode_frame(kind, text[start : start + step].encode("utf-8", "backslashreplace"))


class FrameReader:
    """Cut an answer into frames, from bytes as they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[FrameKind, bytes]]:
        """Return the frames that *data* completes.

        Raises FrameError for an unknown kind or too long a frame.
        """
        self._buffer += data
        frames: list[tuple[FrameKind, bytes]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            letter, length = _HEADER.unpack_from(self._buffer, at)
            try:
                kind = FrameKind(letter)
            except ValueError:
                raise FrameError("what answers at the socket is not a console: unknown kind of frame") from None
            if length > MAX_PAYLOAD:
                raise FrameError("what answers at the socket is not a console: a frame is too long")
            if len(self._buffer) - at - _HEADER.size < length:
                break
            at += _HEADER.size
            frames.append((kind, bytes(self._buffer[at : at + length])))
            at += length
        del self._buffer[:at]
        return frames
