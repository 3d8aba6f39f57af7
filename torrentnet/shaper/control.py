"""The daemon's control socket.

It is a Unix socket in the abstract namespace, which belongs to the node's network namespace.

The socket disappears with the daemon, and two daemons cannot bind it at once. Only root's requests are accepted: the
node's own program is an ordinary user.

A request is a command, a newline, and text until the end of the stream; the reply is an exit status,
a newline, and text.
"""

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from torrentnet.shaper.errors import AlreadyRunningError, NotRunningError, ShaperError
from torrentnet.shaper.state import MAX_STATE_BYTES

NAME: Final = "\0torrentnet-shaper"
COMMANDS: Final = ("apply", "status", "stop")
REPLY_TIMEOUT: Final = 5.0
REQUEST_TIMEOUT: Final = 0.2
"""Short, because packets wait while a request is read; the sender has it ready."""
MAX_REPLY_BYTES: Final = 4 * 1024 * 1024
_CREDENTIALS: Final = struct.Struct("=iII")
_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A command with its text."""

    command: str
    text: str = ""


class ControlServer:
    """The daemon's side of the socket."""

    def __init__(self, name: str = NAME, user: int = 0) -> None:
        """Bind the socket.

        ``user``: whose requests are accepted. Raises AlreadyRunningError.
        """
        self._user = user
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(name)
            self._socket.listen(8)
        except OSError as error:
            self._socket.close()
            raise AlreadyRunningError("another shaper runs here already") from error

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Accept no more requests."""
        self._socket.close()

    def serve(self, handle: Callable[[ControlRequest], tuple[int, str]]) -> None:
        """Handle one request and send its reply.

        A client that misbehaves affects no other client.
        """
        try:
            client, _ = self._socket.accept()
        except OSError:
            return
        with client:
            try:
                if _peer_user(client) != self._user:
                    return
                client.settimeout(REQUEST_TIMEOUT)
                command, _, text = _read_all(client, MAX_STATE_BYTES).decode("utf-8", "replace").partition("\n")
                if command not in COMMANDS:
                    status, reply = 2, f"unknown command: {command[:40]!r}"
                else:
                    status, reply = handle(ControlRequest(command, text))
                client.sendall(f"{status}\n{reply}".encode())
            except (OSError, ValueError):
                return


def send_request(request: ControlRequest, name: str = NAME, user: int = 0) -> tuple[int, str]:
    """Send a request, and return the daemon's exit status and text.

    ``user``: whose daemon is trusted. Raises NotRunningError.
    """
    if os.geteuid() != user:
        raise ShaperError("only root may control the shaper (docker exec --privileged -u 0)")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REPLY_TIMEOUT)
        try:
            connection.connect(name)
            if _peer_user(connection) != user:
                raise NotRunningError("another user's program has bound the shaper's socket")
            connection.sendall(f"{request.command}\n{request.text}".encode())
            connection.shutdown(socket.SHUT_WR)
            status, _, text = _read_all(connection, MAX_REPLY_BYTES).decode("utf-8", "replace").partition("\n")
            return int(status), text
        except ConnectionRefusedError as error:
            raise NotRunningError("no shaper runs here") from error
        except (OSError, ValueError) as error:
            raise NotRunningError(f"the shaper does not reply ({error or type(error).__name__})") from error


def _peer_user(connection: socket.socket) -> int:
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


def _read_all(connection: socket.socket, most: int) -> bytes:
    received = bytearray()
    while piece := connection.recv(_CHUNK):
        received += piece
        if len(received) > most:
            raise ValueError(f"more than {most} bytes")
    return bytes(received)
