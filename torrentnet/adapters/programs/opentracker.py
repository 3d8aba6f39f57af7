"""Run opentracker as a lab's tracker.

Debian's opentracker serves only the info-hashes of its whitelist, which is written from the given .torrent files.

Tested by tests/integration/test_scenarios.py.
"""

from __future__ import annotations

import secrets
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.adapter import AdapterError
from torrentnet.adapters.child_process import ChildProcess, find_command
from torrentnet.adapters.stop_request import StopRequest
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp import packets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.runtime.events import EventLog
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info

COMMAND: Final = "opentracker"

START_TIMEOUT: Final = 20.0
REPLY_TIMEOUT: Final = 0.2
CHECK_INTERVAL: Final = 0.5
STOP_TIMEOUT: Final = 2.0
WHITELIST: Final = "whitelist"
CONFIG: Final = "opentracker.conf"


class OpentrackerNode:
    """Run opentracker for ``files`` until :meth:`stop`, which any thread or signal handler may call."""

    def __init__(self, name: str, listen: Endpoint, files: Sequence[Info], state: Path, events: EventLog) -> None:
        self.name = name
        self.listen = listen
        self.files = files
        self._state = state
        self._events = events
        self._stop_request = StopRequest()

    def stop(self, reason: str) -> None:
        """End :meth:`run`."""
        self._stop_request.request(reason)

    def run(self) -> int:
        """Run until stopped; return the exit status. Raises :class:`AdapterError` if opentracker fails."""
        command = find_command(COMMAND)
        whitelist = "".join(f"{info.info_hash.hex()}\n" for info in self.files)
        (self._state / WHITELIST).write_text(whitelist, encoding="ascii")
        settings = f"listen.udp {self.listen}\naccess.whitelist {WHITELIST}\ntracker.rootdir {self._state}\n"
        (self._state / CONFIG).write_text(settings, encoding="utf-8")
        child = ChildProcess([command, "-f", CONFIG], self._state, lambda line: self._events.warning("said", text=line))
        try:
            self._await_reply(child)
            self._events.emit("listening", program="opentracker", name=self.name, address=self.listen)
            while self._stop_request.reason is None:
                child.raise_if_exited()
                select.select([self._stop_request.descriptor], [], [], CHECK_INTERVAL)
        finally:
            child.terminate(signal.SIGTERM, STOP_TIMEOUT)
            self._stop_request.close()
        self._events.emit("closing", reason=self._stop_request.reason)
        return 0

    def _await_reply(self, child: ChildProcess) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self._stop_request.reason is None:
            child.raise_if_exited()
            if self.fetch_connection_id(REPLY_TIMEOUT) is not None:
                return
            if time.monotonic() > deadline:
                raise AdapterError(f"opentracker does not answer at {self.listen} after {START_TIMEOUT:g} s")

    def fetch_connection_id(self, timeout: float) -> int | None:
        """Request a connection id (BEP 15); None without a reply within ``timeout``."""
        reply = self._exchange(packets.pack_connect(secrets.randbits(32)), timeout)
        return (
            packets.parse_connect_reply(reply) if reply is not None and reply.action == packets.Action.CONNECT else None
        )

    def scrape(self, timeout: float) -> Sequence[packets.ScrapeCounts] | None:
        """Scrape the files (BEP 15, BEP 48), in their order; None without a reply within ``timeout``."""
        connection = self.fetch_connection_id(timeout)
        if connection is None:
            return None
        hashes = tuple(info.info_hash for info in self.files[: packets.MAX_SCRAPE])
        reply = self._exchange(packets.pack_scrape(connection, secrets.randbits(32), hashes), timeout)
        return (
            packets.parse_scrape_reply(reply) if reply is not None and reply.action == packets.Action.SCRAPE else None
        )

    def _exchange(self, request: bytes, timeout: float) -> packets.ReplyPacket | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            try:
                # The connection id is valid only for the address that requested it.
                sock.bind((self.listen.ip, 0))
                sock.connect(tuple(self.listen))
                sock.send(request)
                return packets.parse_reply(sock.recv(packets.MAX_DATAGRAM))
            except (OSError, PacketError):
                time.sleep(min(timeout, 0.02))  # A refused port would otherwise be polled without a pause.
                return None
