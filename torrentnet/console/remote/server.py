"""Server of a program's commands on a Unix socket.

``docker compose exec tracker request logs`` uses it. The server has threads of its own, so that neither a slow reader
nor a slow command delays the program.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.console.remote import frames
from torrentnet.console.remote.frames import (
    AttachRequest,
    CompleteRequest,
    FrameKind,
    PingRequest,
    RequestError,
    RunRequest,
)
from torrentnet.console.table import for_terminal
from torrentnet.runtime.process import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from torrentnet.runtime.signals import block_signals
from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from torrentnet.console.commands import Commands

MAX_CONNECTIONS: Final = 8
MAX_PATH_BYTES: Final = 107
"""A Unix address holds 108 bytes, the last of which is zero (unix(7))."""
REQUEST_TIMEOUT: Final = 5.0
"""Longest time from the connection to the request's newline."""
WRITE_TIMEOUT: Final = 30.0
"""Longest time without progress of an answer; long, because a person may read it in a pager."""
NO_TERMINAL: Final = "this program's command line is this console; leave out the word attach"
PROBE_TIMEOUT: Final = 1.0
"""Longest wait for an answer at a socket that exists already."""
STOP_TIMEOUT: Final = 1.0
BATCH_CHARS: Final = 8 * 1024
BATCH_INTERVAL: Final = 0.1
"""Lines of an answer are sent together: so many characters, or so many seconds after the last batch."""


class ConsoleServerError(LocalError):
    """The console socket cannot be opened. The message names the cause and the remedy."""


class ConsoleServer:
    """Server that answers *commands* at the Unix socket *path*.

    It uses threads of its own and is a context manager. Each connection carries one request (see
    :mod:`torrentnet.console.remote.frames`) and one answer. At most :data:`MAX_CONNECTIONS` are served at once, each on
    a daemon thread with time-outs; any other is asked to try again. Only the program's own user may connect (mode
    0600).
    """

    def __init__(self, path: str | os.PathLike[str], commands: Commands) -> None:
        self.path = Path(path)
        self._commands = commands
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._identity: tuple[int, int] | None = None

    def start(self) -> None:
        """Bind the socket and begin to answer; once this returns, clients can connect.

        A socket file without an answer, left by a killed program, is replaced. Raises ConsoleServerError when the path
        is too long, cannot be written, or belongs to a running program or to something that is not a socket.
        """
        encoded = os.fsencode(self.path)
        if len(encoded) > MAX_PATH_BYTES:
            raise ConsoleServerError(
                f"the console's socket path is too long: {len(encoded)} bytes, at most {MAX_PATH_BYTES}"
                f" fit into a Unix address; choose a shorter one: {self.path}"
            )
        _remove_stale(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(encoded)
            # No client can connect before listen(), so the wider mode never matters.
            self.path.chmod(0o600)
            listener.listen(MAX_CONNECTIONS)
            found = self.path.stat()
        except OSError as error:
            listener.close()
            raise ConsoleServerError(_bind_problem(self.path, error)) from None
        self._identity = (found.st_dev, found.st_ino)
        self._listener = listener
        self._thread = threading.Thread(target=self._accept, args=(listener,), name="console", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, end open connections, and remove the socket file.

        May be called twice.
        """
        self._stopping.set()
        listener, self._listener = self._listener, None
        if listener is None:
            return
        # Removed first, so that a client that connects now does not reach a socket that is about to close.
        with contextlib.suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()
        # shutdown() wakes the accepting thread; close() alone would leave it blocked.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT)
        listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> ConsoleServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        block_signals()
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                # Out of descriptors or memory: the connection waits in the backlog.
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                    self._stopping.wait(BATCH_INTERVAL)
                    continue
                if error.errno in {errno.ECONNABORTED, errno.EINTR}:
                    continue
                return
            if not self._slots.acquire(blocking=False):
                _refuse(connection)
                continue
            with self._lock:
                self._open.add(connection)
            worker = threading.Thread(target=self._serve, args=(connection,), name="console-client", daemon=True)
            try:
                worker.start()
            except RuntimeError:
                self._forget(connection)

    def _serve(self, connection: socket.socket) -> None:
        block_signals()
        try:
            # A client that has gone, or is too slow, loses its own answer and nothing else.
            with contextlib.suppress(OSError):
                self._answer(connection)
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()
        self._slots.release()

    def _answer(self, connection: socket.socket) -> None:
        answer = _ReplyWriter(connection)
        try:
            request = frames.decode_request(_read_request(connection))
        except RequestError as error:
            answer.end(EXIT_USAGE, f"error: {error}")
            return
        match request:
            case RunRequest(command, columns):
                with for_terminal(columns):
                    answer.end(self._commands.execute(command, answer.out, answer.err, outside=True))
            case CompleteRequest(text):
                answer.send(frames.encode_frame(FrameKind.WORDS, _bounded_json(self._commands.complete(text))))
                answer.end(EXIT_OK)
            case AttachRequest():
                if self._commands.attach is None:
                    answer.end(EXIT_USAGE, f"error: {NO_TERMINAL}")
                    return
                answer.send(frames.encode_frame(FrameKind.NODE, self._node()))
                self._commands.attach(connection)
                answer.end(EXIT_OK)
            case PingRequest():
                answer.send(frames.encode_frame(FrameKind.NODE, self._node()))
                answer.end(EXIT_OK)

    def _node(self) -> bytes:
        return json.dumps({"program": self._commands.program, "name": self._commands.name}).encode()


class _ReplyWriter:
    """Send an answer in batches of lines."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(WRITE_TIMEOUT)
        self._connection = connection
        self._lines: list[str] = []
        self._chars = 0
        self._sent_at = time.monotonic()

    def out(self, line: str) -> None:
        self._lines.append(line + "\n")
        self._chars += len(line) + 1
        if self._chars >= BATCH_CHARS or time.monotonic() - self._sent_at >= BATCH_INTERVAL:
            self.flush()

    def err(self, line: str) -> None:
        self.flush()
        for frame in frames.encode_text(FrameKind.ERR, line + "\n"):
            self.send(frame)

    def end(self, status: int, message: str = "") -> None:
        if message:
            self.err(message)
        self.flush()
        self.send(frames.encode_frame(FrameKind.STATUS, str(status).encode()))

    def flush(self) -> None:
        for frame in frames.encode_text(FrameKind.OUT, "".join(self._lines)):
            self.send(frame)
        self._lines.clear()
        self._chars = 0
        self._sent_at = time.monotonic()

    def send(self, frame: bytes) -> None:
        # Not sendall(): its time-out is for the whole, and a slow reader must not be cut off.
        rest = memoryview(frame)
        while rest:
            rest = rest[self._connection.send(rest) :]


def _read_request(connection: socket.socket) -> bytes:
    deadline = time.monotonic() + REQUEST_TIMEOUT
    line = bytearray()
    while b"\n" not in line:
        if len(line) >= frames.MAX_REQUEST:
            raise RequestError(f"the request is too long: at most {frames.MAX_REQUEST} bytes are allowed")
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        data = connection.recv(frames.MAX_REQUEST - len(line))
        if not data:
            raise RequestError("the request has no end: its newline is missing")
        line += data
    connection.settimeout(WRITE_TIMEOUT)
    return bytes(line[: line.index(b"\n") + 1])


def _bounded_json(words: list[str]) -> bytes:
    # Cut the list, never a word.
    body = json.dumps(words).encode()
    while len(body) > frames.MAX_PAYLOAD:
        words = words[: len(words) // 2]
        body = json.dumps(words).encode()
    return body


def _refuse(connection: socket.socket) -> None:
    text = f"error: {MAX_CONNECTIONS} consoles are being answered already; try again in a moment\n"
    with contextlib.suppress(OSError), connection:
        connection.setblocking(False)
        for frame in frames.encode_text(FrameKind.ERR, text):
            connection.send(frame)
        connection.send(frames.encode_frame(FrameKind.STATUS, str(EXIT_UNAVAILABLE).encode()))


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConsoleServerError(
            f"the console's socket path is not a socket: {path}; move that file away, or choose another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT)
        try:
            probe.connect(os.fsencode(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except OSError as error:
            # A full backlog (EAGAIN) or a time-out: a program owns it. No permission: not ours to remove.
            if not isinstance(error, BlockingIOError | TimeoutError):
                raise ConsoleServerError(_bind_problem(path, error)) from None
    raise ConsoleServerError(
        f"the console's socket is in use: another program answers at {path}; stop it, or choose another path"
    )


def _bind_problem(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        cause = f"there is no directory {path.parent}; create it"
        return f"cannot create the console's socket: {cause}, or choose another path"
    if error.errno == errno.EADDRINUSE:
        return f"the console's socket is in use: {path}; choose another path"
    return f"cannot create the console's socket {path}: {error.strerror or error}; choose another path"
