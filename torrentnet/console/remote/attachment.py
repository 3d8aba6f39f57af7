"""A person's terminal, connected with the terminal of an observed program."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import termios
from typing import TYPE_CHECKING, Final

from torrentnet.console.remote.frames import AttachRequest, FrameError, FrameKind, FrameReader, encode_request
from torrentnet.runtime.process import EXIT_OK, EXIT_UNAVAILABLE
from torrentnet.runtime.standard_streams import write_all
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.console.remote.client import ConsoleClient

LEAVE: Final = b"\x1d"
"""Ctrl-], as in telnet: no program needs it."""
READ_BYTES: Final = 4096

_IFLAG, _LFLAG = 0, 3


@contextlib.contextmanager
def _key_by_key(terminal: int) -> Iterator[None]:
    """Pass every key on at once, Ctrl-C, too; line ends of output keep working."""
    before = termios.tcgetattr(terminal)
    modes = termios.tcgetattr(terminal)
    modes[_IFLAG] &= ~(termios.IXON | termios.ICRNL)
    modes[_LFLAG] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def attach(client: ConsoleClient, terminal: int, output: int) -> int:
    """Connect a terminal with the program's, and return the exit status.

    The connection lasts until the person leaves or the program ends. Raises NoAnswerError.
    """
    with client.connect() as connection, _key_by_key(terminal):
        connection.settimeout(None)
        connection.sendall(encode_request(AttachRequest()))
        reader = FrameReader()
        while True:
            ready, _, _ = select.select([terminal, connection.fileno()], [], [])
            if terminal in ready:
                typed = os.read(terminal, READ_BYTES)
                before, leave, _ = typed.partition(LEAVE)
                connection.sendall(before)
                if leave or not typed:
                    return EXIT_OK
            if connection.fileno() in ready:
                status = _show(reader, connection.recv(64 * 1024), output)
                if status is not None:
                    return status


def _show(reader: FrameReader, data: bytes, output: int) -> int | None:
    """Write what the node has sent; return the exit status once it is there."""
    if not data:
        print("the node has ended", file=sys.stderr)
        return EXIT_UNAVAILABLE
    try:
        frames = reader.feed(data)
    except FrameError:
        return EXIT_UNAVAILABLE
    for kind, payload in frames:
        if kind is FrameKind.OUT:
            # The program's own terminal: its colours are meant for this one.
            write_all(output, payload)
        elif kind is FrameKind.ERR:
            print(escape_controls(payload.decode("utf-8", "replace").rstrip("\n")), file=sys.stderr)
        elif kind is FrameKind.NODE:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                name = escape_controls(str(json.loads(payload)["name"]))
                print(f"the terminal of {name}'s program: Ctrl-] leaves it", file=sys.stderr)
        elif kind is FrameKind.STATUS:
            return int(payload) if payload.isdigit() else EXIT_UNAVAILABLE
    return None
