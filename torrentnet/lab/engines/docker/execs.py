"""A command in a container, with a limit on its time and on its output.

The SDK's own way of waiting for a command has no time limit: a container that is paused in the middle would hold the
lab for ever. The stream is read here instead: frames of an eight-byte header (stream number, three zero bytes, length
as a big-endian number) and the bytes, as the Engine API documents under "attach to a container".
"""

from __future__ import annotations

import codecs
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING

from torrentnet.lab.engines.base import ExecResult
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import docker

HEADER = struct.Struct(">BxxxI")
STDERR = 2
OUTPUT_LIMIT = 4 * 1024 * 1024
"""Bytes of an answer that are kept; the rest is read and dropped."""
RECEIVE = 64 * 1024
EXIT_WAIT_S = 2.0
EXIT_PAUSE_S = 0.01


def run(
    client: docker.DockerClient, container: str, argv: Sequence[str], *, timeout: float, privileged: bool = False
) -> ExecResult:
    """Run ``argv`` in a container and wait for its end, ``timeout`` seconds at most.

    Raises EngineError when time is up; ``docker.errors.APIError`` when the engine refuses.
    """
    deadline = time.monotonic() + timeout
    api = client.api
    ident = api.exec_create(container, list(argv), stdin=False, privileged=privileged)["Id"]
    raw = api.exec_start(ident, socket=True)
    # Over a Unix socket this is a file object around the socket; over TCP it may be the socket itself.
    connection: socket.socket = getattr(raw, "_sock", None) or raw  # type: ignore[assignment]
    try:
        out, err = _read(connection, deadline)
    except TimeoutError:
        raise EngineError(f"`{' '.join(argv)}` did not end within {timeout:g} s") from None
    finally:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        response = getattr(raw, "_response", None)
        if response is not None:
            response.close()
        raw.close()
        # The HTTP connection holds the socket too.
        connection.close()
    return ExecResult(_exit_status(client, ident), out, err)


def _read(connection: socket.socket, deadline: float) -> tuple[str, str]:
    decoders = {key: codecs.getincrementaldecoder("utf-8")("replace") for key in (1, STDERR)}
    texts: dict[int, list[str]] = {1: [], STDERR: []}
    kept = 0
    buffer = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        data = connection.recv(RECEIVE)
        if not data:
            return "".join(texts[1]), "".join(texts[STDERR])
        buffer += data
        while len(buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer)
            if len(buffer) < HEADER.size + length:
                break
            payload = bytes(buffer[HEADER.size : HEADER.size + length])
            del buffer[: HEADER.size + length]
            if kept < OUTPUT_LIMIT:
                key = STDERR if kind == STDERR else 1
                texts[key].append(decoders[key].decode(payload))
                kept += length


def _exit_status(client: docker.DockerClient, ident: str) -> int:
    """The command's exit status; the engine may learn of it a moment after the stream's end."""
    deadline = time.monotonic() + EXIT_WAIT_S
    while True:
        code = client.api.exec_inspect(ident)["ExitCode"]
        if code is not None:
            return int(code)
        if time.monotonic() > deadline:
            raise EngineError("the engine does not say how a command in a node ended")
        time.sleep(EXIT_PAUSE_S)
