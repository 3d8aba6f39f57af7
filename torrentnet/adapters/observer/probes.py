"""Packets that the observer sends itself.

They are garbage, and the program's own first words with another file name.
"""

from __future__ import annotations

import hashlib
import random
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.console.commands import CommandError
from torrentnet.runtime.process import EXIT_UNAVAILABLE, EXIT_USAGE
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torrentnet.wire.endpoint import Endpoint

MAX_GARBAGE: Final = 1000
GARBAGE_BYTES: Final = 1400
ANSWER_TIMEOUT: Final = 2.0
"""Seconds for the first byte of an answer."""
ANSWER_QUIET: Final = 0.5
"""Seconds of silence that end an answer."""
MAX_ANSWER: Final = 64 * 1024
"""Bytes that are read of one answer."""
_LENGTHS: Final = (1, 2, 4)
"""Bytes of a number in front of a name that may be the name's length."""


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What came back."""

    data: bytes

    def row(self) -> dict[str, object]:
        """Return the answer as an object of JSON."""
        return {
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "text": self.data.decode("utf-8", "replace"),
            "hex": self.data.hex(),
        }


def garbage(count: int, seed: int) -> Iterator[bytes]:
    """Yield datagrams that mean nothing, always the same for a seed."""
    source = random.Random(seed)
    kinds = (
        lambda: source.randbytes(source.randint(1, GARBAGE_BYTES)),
        lambda: b"",
        lambda: b"\xff" * source.randint(1, 64),
        lambda: b'{"' + b"x" * source.randint(1, 200),
        lambda: source.randbytes(source.randint(1, 15)),
        lambda: bytes(source.randint(1, GARBAGE_BYTES)),
    )
    for number in range(count):
        yield kinds[number % len(kinds)]()


def _open(kind: socket.SocketKind, on_port: Callable[[int], None]) -> socket.socket:
    """Return a socket whose port is known before its first packet."""
    probe = socket.socket(socket.AF_INET, kind)
    probe.bind(("", 0))
    on_port(int(probe.getsockname()[1]))
    return probe


def send_garbage(target: Endpoint, count: int, seed: int, on_port: Callable[[int], None]) -> int:
    """Send datagrams of garbage, and return their number.

    ``on_port`` is told the local port beforehand, here as in the other functions. Raises CommandError.
    """
    if not 1 <= count <= MAX_GARBAGE:
        raise CommandError(f"the count is a number from 1 to {MAX_GARBAGE}", EXIT_USAGE)
    try:
        with _open(socket.SOCK_DGRAM, on_port) as sender:
            for data in garbage(count, seed):
                sender.sendto(data, target)
    except OSError as error:
        raise CommandError(f"cannot send to {target}: {os_error_text(error)}") from None
    return count


def with_name(words: bytes, old: bytes, new: bytes) -> bytes:
    """Return a message with another file name, wherever the old one is in it.

    A number in front of the name that is the name's length becomes the new one's.
    """
    parts = words.split(old)
    for at, part in enumerate(parts[:-1]):
        parts[at] = _with_length(part, len(old), len(new))
    return new.join(parts)


def _with_length(part: bytes, old: int, new: int) -> bytes:
    # A name of ten bytes may be written as 10:name in text.
    text = f"{old}:".encode()
    if part.endswith(text) and not part[: -len(text)][-1:].isdigit():
        return part[: -len(text)] + f"{new}:".encode()
    for size in reversed(_LENGTHS):
        for order in ("big", "little"):
            if old < 1 << (8 * size) and new < 1 << (8 * size) and part.endswith(_number(old, size, order)):
                return part[:-size] + _number(new, size, order)
    return part


def _number(value: int, size: int, order: str) -> bytes:
    return value.to_bytes(size, "big" if order == "big" else "little")


def replay_datagram(target: Endpoint, words: bytes, on_port: Callable[[int], None]) -> list[ProbeAnswer]:
    """Send one datagram, and return the answers. Raises CommandError."""
    answers: list[ProbeAnswer] = []
    try:
        with _open(socket.SOCK_DGRAM, on_port) as sender:
            sender.sendto(words, target)
            sender.settimeout(ANSWER_TIMEOUT)
            left = MAX_ANSWER
            while left > 0:
                data = sender.recv(MAX_ANSWER)
                answers.append(ProbeAnswer(data))
                left -= len(data) + 1
                sender.settimeout(ANSWER_QUIET)
    except TimeoutError:
        pass
    except OSError as error:
        raise CommandError(f"cannot send to {target}: {os_error_text(error)}") from None
    return answers


def replay_connection(target: Endpoint, words: Sequence[bytes], on_port: Callable[[int], None]) -> list[ProbeAnswer]:
    """Connect, send the words one after the other, and return the answer to each.

    Raises CommandError if there is no connection.
    """
    answers = []
    try:
        with _open(socket.SOCK_STREAM, on_port) as connection:
            connection.settimeout(ANSWER_TIMEOUT)
            connection.connect(target)
            for part in words:
                connection.sendall(part)
                answers.append(ProbeAnswer(_read_answer(connection)))
    except OSError as error:
        if not answers:
            raise CommandError(f"cannot connect to {target}: {os_error_text(error)}") from None
    return answers


def _read_answer(connection: socket.socket) -> bytes:
    data = b""
    connection.settimeout(ANSWER_TIMEOUT)
    try:
        while len(data) < MAX_ANSWER and (more := connection.recv(MAX_ANSWER - len(data))):
            data += more
            connection.settimeout(ANSWER_QUIET)
    except OSError:
        # Silence, or a connection that the other side has reset: the answer is what has come.
        pass
    return data


def unseen(what: str) -> CommandError:
    """Return the error for something that cannot be observed."""
    return CommandError(what, EXIT_UNAVAILABLE)
