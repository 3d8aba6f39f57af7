"""The sniffer as a process beside the nodes, started by their supervisor.

It is in the network namespace of the lab's bridge, where an ordinary user may see packets too. It ends when its
standard input does, and with the supervisor.

Tested by tests/integration/test_capture.py.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from torrentnet.lab.engines.local.client import SupervisorClient

RECEIVE_SIZE: Final = 1 << 18
ERROR_BYTES: Final = 400


def start(client: SupervisorClient, snap: int, addresses: Sequence[str]) -> ProcessSniffer:
    """Start a sniffer in a supervisor's network. Raises EngineError."""
    their_input, feed = os.pipe()
    output, their_output = os.pipe()
    errors, their_errors = os.pipe()
    try:
        connection = client.request_with_streams(
            "sniff", (their_input, their_output, their_errors), snap=snap, addresses=list(addresses)
        )
    except BaseException:
        for descriptor in (feed, output, errors):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (their_input, their_output, their_errors):
            os.close(descriptor)
    return ProcessSniffer(connection, feed, output, errors)


class ProcessSniffer:
    """See :class:`torrentnet.lab.engines.types.Sniffer`."""

    def __init__(self, connection: socket.socket, feed: int, output: int, errors: int) -> None:
        self._connection = connection
        self._feed = feed
        self._output = output
        self._errors = errors
        os.set_blocking(errors, False)

    def read(self, timeout: float) -> bytes | None:
        """See the protocol. Raises EngineError where the program could not be run."""
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return None
        data = os.read(self._output, RECEIVE_SIZE)
        if not data:
            with contextlib.suppress(BlockingIOError):
                if text := os.read(self._errors, 1 << 16).decode("utf-8", "replace").strip():
                    raise EngineError(f"the process that captures packets has failed: {text[-ERROR_BYTES:]}")
        return data

    def stop(self) -> None:
        """See the protocol."""
        if self._feed >= 0:
            os.close(self._feed)
            self._feed = -1

    def close(self) -> None:
        """See the protocol. The supervisor ends the process when its connection closes."""
        self.stop()
        self._connection.close()
        if self._output >= 0:
            os.close(self._output)
            os.close(self._errors)
            self._output = -1
