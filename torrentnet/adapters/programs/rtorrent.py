"""Run rTorrent and control it by XML-RPC over SCGI on a Unix socket.

Settings and calls: https://github.com/rakshasa/rtorrent/wiki and https://rtorrent-docs.readthedocs.io; SCGI:
https://python.ca/scgi/protocol.txt.

Tested by tests/interop/test_every_pair.py, tests/interop/test_goodbye.py, tests/interop/test_slow_download.py.
"""

from __future__ import annotations

import signal
import socket
import xmlrpc.client
from typing import TYPE_CHECKING, Any, Final
from xml.parsers.expat import ExpatError

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line
from torrentnet.adapters.rpc import MAX_RESPONSE, RPC_TIMEOUT, RpcAdapter, RpcUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

COMMAND: Final = "rtorrent"
FACTS: Final = (
    "d.completed_chunks",
    "d.complete",
    "d.hashing",
    "d.is_active",
    "d.down.total",
    "d.up.total",
    "d.peers_connected",
)
TRACKER_TROUBLE: Final = "Tracker: "
"""How a download's message begins that concerns its tracker, not its file."""


class ScgiConnection:
    """XML-RPC calls to the program that listens on a Unix socket.

    SCGI has a connection for each call.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def call(self, method: str, *arguments: str | xmlrpc.client.Binary) -> Any:
        """Call *method* and return its result.

        Raises :class:`RpcUnavailable`, and :class:`AdapterError` where the program refuses the call.
        """
        body = xmlrpc.client.dumps(arguments, method).encode()
        headers = b"CONTENT_LENGTH\0%d\0SCGI\0001\0" % len(body)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(RPC_TIMEOUT)
                connection.connect(self._path)
                connection.sendall(b"%d:%b,%b" % (len(headers), headers, body))
                with connection.makefile("rb") as stream:
                    response = stream.read(MAX_RESPONSE)
        except OSError as error:
            raise RpcUnavailable(str(error)) from None
        try:
            (result,), _ = xmlrpc.client.loads(response.partition(b"\r\n\r\n")[2])
        except xmlrpc.client.Fault as fault:
            raise AdapterError(f"rTorrent refused {method}: {fault.faultString}") from None
        except (ExpatError, xmlrpc.client.Error, ValueError, TypeError) as error:
            raise RpcUnavailable(f"no XML-RPC response: {error}") from None
        return result

    def close(self) -> None:
        """Do nothing: no connection outlives its call."""


class RtorrentAdapter(RpcAdapter[ScgiConnection]):
    """rTorrent."""

    name = "rtorrent"
    display_name = "rTorrent"
    start_timeout = 20.0
    stop_signal = signal.SIGINT

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self._socket = settings.state / "rpc"
        super().__init__(settings, on_output, ScgiConnection(str(self._socket)))
        self._hash = settings.info.info_hash.hex().upper()
        self._told = ""

    def version(self) -> str:
        # The first line of the help: "Rakshasa's BitTorrent client version 0.9.8."
        return first_output_line(find_command(COMMAND), "-h").rpartition(" ")[2].rstrip(".")

    def start(self) -> None:
        settings = self.settings
        session = settings.state / "session"
        session.mkdir(exist_ok=True)
        # What a killed rTorrent leaves keeps the next one from starting.
        for left in (self._socket, session / "rtorrent.lock"):
            left.unlink(missing_ok=True)
        configuration = settings.state / "rtorrent.rc"
        configuration.write_text("".join(f"{name} = {value}\n" for name, value in self._settings()), encoding="utf-8")
        self._start_process([find_command(COMMAND), "-n", "-o", f"import={configuration}"])
        if self._hash not in self._rpc.call("download_list"):
            self._rpc.call("load.raw_start", "", xmlrpc.client.Binary(settings.torrent.read_bytes()))

    def _settings(self) -> list[tuple[str, object]]:
        settings = self.settings
        rate = settings.upload_rate
        return [
            ("system.daemon.set", "true"),
            ("network.scgi.open_local", f'"{self._socket}"'),
            ("session.path.set", f'"{settings.state / "session"}"'),
            ("directory.default.set", f'"{settings.directory}"'),
            ("network.bind_address.set", settings.listen.ip),
            ("network.port_range.set", f"{settings.listen.port}-{settings.listen.port}"),
            ("network.port_random.set", "no"),
            ("dht.mode.set", "disable"),
            ("protocol.pex.set", "no"),
            ("protocol.encryption.set", "none"),
            ("trackers.use_udp.set", "yes"),
            ("system.file.allocate.set", "no"),
            # By default rTorrent hashes a complete download again, and the tracker hears of it ten minutes later.
            ("pieces.hash.on_completion.set", "no"),
            # By default rTorrent stops a download five seconds after the start where less than 500 MB are free.
            ("schedule_remove2", "low_diskspace"),
            # In units of 1,024 bytes per second; 0 means unlimited.
            ("throttle.global_up.max_rate.set_kb", max(1, int(rate / 1024)) if rate is not None else 0),
        ]

    def _ping(self) -> None:
        self._rpc.call("system.pid")

    def _on_line(self, line: str) -> None:
        self.on_output(line)

    def _read_status(self) -> ClientStatus:
        if self._hash not in self._rpc.call("download_list"):
            # rTorrent answers before it has loaded the .torrent.
            return ClientStatus(0, complete=False, announced=False)
        chunks, complete, hashing, active, downloaded, uploaded, peers = (
            self._rpc.call(fact, self._hash) for fact in FACTS
        )
        self._report_message(self._rpc.call("d.message", self._hash))
        announces = self._rpc.call("t.multicall", self._hash, "", "t.success_counter=")
        done = bool(complete and active and not hashing)
        return ClientStatus(chunks, done, any(count for (count,) in announces), downloaded, uploaded, peers)

    def _report_message(self, message: str) -> None:
        if message and message != self._told:
            if not message.startswith(TRACKER_TROUBLE):
                raise AdapterError(f"rTorrent failed: {message}")
            self.on_output(message)
        self._told = message
