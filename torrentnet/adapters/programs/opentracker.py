"""Run opentracker as a lab's tracker.

Debian's opentracker serves only the info-hashes of its whitelist: those of the given .torrent files.

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
from torrentnet.adapters.program_node import ProgramNode
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp.packets import (
    MAX_DATAGRAM,
    MAX_SCRAPE,
    Action,
    pack_connect,
    pack_scrape,
    parse_connect_reply,
    parse_reply,
    parse_scrape_reply,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.runtime.events import EventLog
    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp.packets import ReplyPacket, ScrapeCounts

START_TIMEOUT: Final = 20.0
REPLY_TIMEOUT: Final = 0.2
CHECK_INTERVAL: Final = 0.5
STOP_TIMEOUT: Final = 2.0
WHITELIST: Final = "whitelist"
CONFIG: Final = "opentracker.conf"


class OpentrackerNode(ProgramNode):
    """Run opentracker for ``files``."""

    def __init__(self, name: str, listen: Endpoint, files: Sequence[Info], state: Path, events: EventLog) -> None:
        super().__init__(name, events)
        self.listen = listen
        self.files = files
        self._state = state
        self._child: ChildProcess | None = None

    def _start(self) -> None:
        command = find_command("opentracker")
        whitelist = "".join(f"{info.info_hash.hex()}\n" for info in self.files)
        (self._state / WHITELIST).write_text(whitelist, encoding="ascii")
        config = f"listen.udp {self.listen}\naccess.whitelist {WHITELIST}\ntracker.rootdir {self._state}\n"
        (self._state / CONFIG).write_text(config, encoding="utf-8")
        child = self._child = ChildProcess([command, "-f", CONFIG], self._state, self._on_line)
        deadline = time.monotonic() + START_TIMEOUT
        while self._stop_reason is None and self._connection_id(REPLY_TIMEOUT) is None:
            child.raise_if_exited()
            if time.monotonic() > deadline:
                raise AdapterError(f"opentracker does not answer at {self.listen} after {START_TIMEOUT:g} s")
        self._events.emit("listening", program="opentracker", name=self.name, address=self.listen)

    def _on_line(self, line: str) -> None:
        self._events.warning("said", text=line)

    def _check(self) -> None:
        assert self._child is not None
        self._child.raise_if_exited()
        select.select([self._stop_requested], [], [], CHECK_INTERVAL)

    def _end(self) -> None:
        if self._child is not None:
            self._child.terminate(signal.SIGTERM, STOP_TIMEOUT)

    def scrape(self, timeout: float) -> Sequence[ScrapeCounts] | None:
        """Scrape the files (BEP 15, BEP 48) and return their counts in the same order.

        Returns None without a reply within ``timeout``.
        """
        connection_id = self._connection_id(timeout)
        if connection_id is None:
            return None
        hashes = tuple(info.info_hash for info in self.files[:MAX_SCRAPE])
        reply = self._exchange(pack_scrape(connection_id, secrets.randbits(32), hashes), timeout)
        return parse_scrape_reply(reply) if reply is not None and reply.action == Action.SCRAPE else None

    def _connection_id(self, timeout: float) -> int | None:
        reply = self._exchange(pack_connect(secrets.randbits(32)), timeout)
        return parse_connect_reply(reply) if reply is not None and reply.action == Action.CONNECT else None

    def _exchange(self, request: bytes, timeout: float) -> ReplyPacket | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            try:
                # A connection id is valid only for the IP address that requested it.
                sock.bind((self.listen.ip, 0))
                sock.connect(tuple(self.listen))
                sock.send(request)
                return parse_reply(sock.recv(MAX_DATAGRAM))
            except (OSError, PacketError):
                time.sleep(min(timeout, 0.02))  # While the port is closed, recv() fails at once.
                return None
