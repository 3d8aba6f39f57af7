"""How the daemon is told what to do: a Unix socket whose name is no file, in the node's network namespace.

It goes with the daemon, two daemons cannot have it at once, and only root is heard: the node's own program is an
ordinary user. A request is a word, a line's end, and text until the sender's end of stream; the answer is an exit
status, a line's end, and text.
"""

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from torrentnet.shaper.errors import AlreadyRunningError, NotRunningError, ShaperError
from torrentnet.shaper.state import MAX_STATE_BYTES

NAME = "\0torrentnet-shaper"
COMMANDS = ("apply", "status", "stop")
REPLY_TIMEOUT = 5.0
REQUEST_TIMEOUT = 0.2
"""A request comes from a program that has it ready; packets wait while it is read."""
MAX_REPLY_BYTES = 4 * 1024 * 1024
_CREDENTIALS = struct.Struct("=iII")
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """What is asked of the daemon."""

    word: str
    text: str = ""


class ControlServer:
    """The daemon's side."""

    def __init__(self, name: str = NAME, user: int = 0) -> None:
        """Raises NameTaken. `user`: whose requests are heard."""
        self._user = user
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(name)
            self._socket.listen(8)
        except OSError as error:
            self._socket.close()
            raise AlreadyRunningError("another shaper runs here already") from error

    def fileno(self) -> int:
        """The socket to wait at."""
        return self._socket.fileno()

    def close(self) -> None:
        """No one is heard any more."""
        self._socket.close()

    def serve(self, answer: Callable[[ControlRequest], tuple[int, str]]) -> None:
        """Answers one caller. Whatever the caller does wrong concerns nobody else."""
        try:
            caller, _ = self._socket.accept()
        except OSError:
            return
        with caller:
            try:
                if _peer_user(caller) != self._user:
                    return
                caller.settimeout(REQUEST_TIMEOUT)
                word, _, text = _read_all(caller, MAX_STATE_BYTES).decode("utf-8", "replace").partition("\n")
                if word not in COMMANDS:
                    status, reply = 2, f"no such request: {word[:40]!r}"
                else:
                    status, reply = answer(ControlRequest(word, text))
                caller.sendall(f"{status}\n{reply}".encode())
            except (OSError, ValueError):
                return


def send_request(request: ControlRequest, name: str = NAME, user: int = 0) -> tuple[int, str]:
    """The daemon's exit status and text. Raises NobodyAnswers; `user`: whose daemon is believed."""
    if os.geteuid() != user:
        raise ShaperError("only root is heard by the shaper (docker exec --privileged -u 0)")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(REPLY_TIMEOUT)
        try:
            line.connect(name)
            if _peer_user(line) != user:
                raise NotRunningError("the name of the shaper's socket is taken by another user's program")
            line.sendall(f"{request.word}\n{request.text}".encode())
            line.shutdown(socket.SHUT_WR)
            status, _, text = _read_all(line, MAX_REPLY_BYTES).decode("utf-8", "replace").partition("\n")
            return int(status), text
        except ConnectionRefusedError as error:
            raise NotRunningError("no shaper runs here") from error
        except (OSError, ValueError) as error:
            raise NotRunningError(f"the shaper does not answer ({error or type(error).__name__})") from error


def _peer_user(line: socket.socket) -> int:
    _, user, _ = _CREDENTIALS.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


def _read_all(line: socket.socket, most: int) -> bytes:
    received = bytearray()
    while piece := line.recv(_CHUNK):
        received += piece
        if len(received) > most:
            raise ValueError(f"more than {most} bytes")
    return bytes(received)
