"""opentracker as a lab's tracker: told which files it serves, and up when it answers.

Debian's opentracker serves the info-hashes of its whitelist and no others; so that is what the .torrents are for.
"""

from __future__ import annotations

import secrets
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

from torrentnet.clients.child import Child, installed
from torrentnet.clients.client import ClientError
from torrentnet.clients.ending import Ending
from torrentnet.wire import udp
from torrentnet.wire.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torrentnet.console.events import EventLog
    from torrentnet.wire.info import Info
    from torrentnet.wire.udp import Endpoint

COMMAND = PACKAGE = "opentracker"
START_S = 20.0
ANSWER_S = 0.2
LOOK_S = 0.5
END_S = 2.0
WHITELIST, SETTINGS = "whitelist", "opentracker.conf"


class Opentracker:
    """Runs opentracker for these files. :meth:`run` returns the exit status; :meth:`stop` may be called anywhere."""

    def __init__(self, name: str, listen: Endpoint, files: Sequence[Info], state: Path, events: EventLog) -> None:
        self.name = name
        self.listen = listen
        self.files = files
        self._state = state
        self._events = events
        self._ending = Ending()

    def stop(self, reason: str) -> None:
        """End; safe from threads and signal handlers."""
        self._ending.ask(reason)

    def run(self, said: Callable[[str], None]) -> int:
        """Work until stopped. Raises :class:`ClientError` when it fails."""
        command = installed(COMMAND, PACKAGE)
        whitelist = "".join(f"{info.info_hash.hex()}\n" for info in self.files)
        (self._state / WHITELIST).write_text(whitelist, encoding="ascii")
        settings = f"listen.udp {self.listen}\naccess.whitelist {WHITELIST}\ntracker.rootdir {self._state}\n"
        (self._state / SETTINGS).write_text(settings, encoding="utf-8")
        child = Child([command, "-f", SETTINGS], self._state, said)
        try:
            self._await(child)
            self._events.emit("listening", program="opentracker", name=self.name, address=self.listen)
            while self._ending.reason is None:
                child.check()
                select.select([self._ending.asked], [], [], LOOK_S)
        finally:
            child.end(signal.SIGTERM, END_S)
            self._ending.close()
        self._events.emit("closing", reason=self._ending.reason)
        return 0

    def _await(self, child: Child) -> None:
        deadline = time.monotonic() + START_S
        while self._ending.reason is None:
            child.check()
            if self.connect(ANSWER_S) is not None:
                return
            if time.monotonic() > deadline:
                raise ClientError(f"opentracker does not answer at {self.listen} after {START_S:g} s")

    def connect(self, seconds: float) -> int | None:
        """A connection id of it, asked for as any client does (BEP 15); None where no answer comes."""
        reply = self._ask(udp.pack_connect(secrets.randbits(32)), seconds)
        return udp.parse_connected(reply) if reply is not None and reply.action == udp.Action.CONNECT else None

    def swarms(self, seconds: float) -> Sequence[udp.Swarm] | None:
        """What it says of each of the files when it is asked (BEP 48); None where no answer comes."""
        connection = self.connect(seconds)
        if connection is None:
            return None
        hashes = tuple(info.info_hash for info in self.files[: udp.MAX_SCRAPE])
        reply = self._ask(udp.pack_scrape(connection, secrets.randbits(32), hashes), seconds)
        return udp.parse_scraped(reply) if reply is not None and reply.action == udp.Action.SCRAPE else None

    def _ask(self, request: bytes, seconds: float) -> udp.Reply | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(seconds)
            try:
                # From one and the same address: the connection id is bound to it.
                sock.bind((self.listen.ip, 0))
                sock.connect(tuple(self.listen))
                sock.send(request)
                return udp.parse_reply(sock.recv(udp.MAX_DATAGRAM))
            except (OSError, PacketError):
                time.sleep(min(seconds, 0.02))  # refused at once: nobody is there yet
                return None
