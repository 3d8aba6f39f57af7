"""A command in a container, with a limit on its time and on its output.

The SDK's own way to wait for a command has no time limit: a container that is paused meanwhile would block the lab for
ever. The stream is read here instead: frames of an eight-byte header (stream number, three zero bytes, length as a
big-endian number) and the bytes, as the Engine API documents under "attach to a container".

Tested by tests/unit/lab/engines/docker/test_container_exec.py, tests/integration/test_verbs.py.
"""

from __future__ import annotations

import codecs
import contextlib
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import docker

HEADER: Final = struct.Struct(">BxxxI")
STDERR: Final = 2
OUTPUT_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of output that are kept; the rest is read and discarded."""
RECEIVE_SIZE: Final = 64 * 1024
EXIT_TIMEOUT: Final = 2.0
EXIT_POLL_INTERVAL: Final = 0.01


def run(
    client: docker.DockerClient,
    container: str,
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: str | None = None,
    user: str = "",
    privileged: bool = False,
    environment: Mapping[str, str] | None = None,
) -> ExecResult:
    """Run ``argv`` in a container and wait for its end, ``timeout`` seconds at most.

    ``user``: in place of the container's own. ``privileged``: with all capabilities, whatever the container has.
    ``environment``: variables beside the container's own.
    Raises EngineError at the timeout, ``docker.errors.APIError`` where Docker refuses.
    """
    deadline = time.monotonic() + timeout
    api = client.api
    exec_id = api.exec_create(
        container,
        list(argv),
        stdin=stdin is not None,
        privileged=privileged,
        user=user,
        environment=dict(environment or {}),
    )["Id"]
    raw = api.exec_start(exec_id, socket=True)
    # Over a Unix socket this is a file object around the socket; over TCP it may be the socket itself.
    connection: socket.socket = getattr(raw, "_sock", None) or raw  # type: ignore[assignment]
    try:
        connection.setblocking(False)
        out, err = _exchange(connection, read_ahead(raw), None if stdin is None else stdin.encode(), deadline)
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
    return ExecResult(_exit_status(client, exec_id), out, err)


def read_ahead(raw: object) -> bytes:
    """Return the output that arrived together with the head of Docker's response.

    Reading the head, ``http.client`` has put it into its own buffer: the socket does not have it any more.
    """
    response = getattr(getattr(raw, "_response", None), "raw", None)
    reader = getattr(getattr(response, "_fp", None), "fp", None)
    return (reader.read1(RECEIVE_SIZE) or b"") if reader is not None else b""


def _exchange(connection: socket.socket, received: bytes, stdin: bytes | None, deadline: float) -> tuple[str, str]:
    """Send the command's input while receiving its output, and return the output.

    ``received`` is the output that has been received already. Sending and receiving happen at once, because a command
    may print more than fits into the buffers before it has read all of its input.
    """
    decoders = {key: codecs.getincrementaldecoder("utf-8")("replace") for key in (1, STDERR)}
    texts: dict[int, list[str]] = {1: [], STDERR: []}
    kept = 0
    buffer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(
            connection, selectors.EVENT_READ if stdin is None else selectors.EVENT_READ | selectors.EVENT_WRITE
        )
        while True:
            buffer += received
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
            received = b""
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            ready = next((events for _, events in selector.select(left)), 0)
            if ready & selectors.EVENT_WRITE and stdin is not None:
                stdin = _send(connection, stdin)
                if stdin is None:
                    selector.modify(connection, selectors.EVENT_READ)
            if not ready & selectors.EVENT_READ:
                continue
            try:
                received = connection.recv(RECEIVE_SIZE)
            except BlockingIOError:
                continue
            if not received:
                return "".join(texts[1]), "".join(texts[STDERR])


def _send(connection: socket.socket, stdin: bytes) -> bytes | None:
    """Send what can be sent without waiting, and return the rest of the input.

    The result is None once the command's input has ended.
    """
    try:
        rest = stdin[connection.send(stdin) :] if stdin else b""
    except BlockingIOError:
        return stdin
    except (BrokenPipeError, ConnectionResetError):
        # The command has ended without reading everything; its status says why.
        return None
    if rest:
        return rest
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    return None


def _exit_status(client: docker.DockerClient, exec_id: str) -> int:
    """Return the command's exit status.

    Docker may know the status only a moment after the end of the stream.
    """
    deadline = time.monotonic() + EXIT_TIMEOUT
    while True:
        code = client.api.exec_inspect(exec_id)["ExitCode"]
        if code is not None:
            return int(code)
        if time.monotonic() > deadline:
            raise EngineError("Docker does not report the exit status of a command in a node")
        time.sleep(EXIT_POLL_INTERVAL)
