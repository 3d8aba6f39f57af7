"""Run Deluge's daemon and control it by its RPC over TLS.

Protocol: https://deluge.readthedocs.io/en/latest/reference/rpc.html; its messages are in the encoding of the package
python3-rencode, on which Deluge depends.

Tested by tests/interop/test_every_pair.py, tests/interop/test_goodbye.py.
"""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import secrets
import signal
import socket
import ssl
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line, free_port
from torrentnet.adapters.rpc import MAX_RESPONSE, RPC_TIMEOUT, RpcAdapter, RpcUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

COMMAND: Final = "deluged"
HEADER: Final = struct.Struct("!BI")
"""Version of the protocol, and length of what follows in bytes."""
PROTOCOL: Final = 1
RESPONSE, ERROR, EVENT = 1, 2, 3
ADMIN: Final = 10
"""The level of a user who may do all."""
STATUS_KEYS: Final = (
    "state",
    "is_seed",
    "progress",
    "num_pieces",
    "pieces",
    "message",
    "tracker_status",
    "total_payload_download",
    "total_payload_upload",
    "num_peers",
    "num_seeds",
)
PIECE_COMPLETE: Final = 3


class DelugeConnection:
    """A persistent connection to the daemon on this machine.

    Every request waits for its response.
    """

    def __init__(self, port: int, user: str, password: str) -> None:
        self._port = port
        self._login = (user, password)
        self._ids = itertools.count(1)
        self._stream: ssl.SSLSocket | None = None
        try:
            self._rencode: Any = importlib.import_module("rencode")
        except ImportError:
            raise AdapterError("this Python has no module rencode (Debian package: python3-rencode)") from None

    def call(self, method: str, *arguments: object, **options: object) -> Any:
        """Call *method* and return its result.

        Raises :class:`RpcUnavailable`, and :class:`AdapterError` where the daemon refuses the call.
        """
        try:
            if self._stream is None:
                self._connect()
                self._exchange("daemon.login", self._login, {"client_version": "2.0"})
            return self._exchange(method, arguments, options)
        except (OSError, ValueError, zlib.error) as error:
            self.close()
            raise RpcUnavailable(str(error)) from None

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _connect(self) -> None:
        # The daemon makes its own certificate; both ends are in one container, or on one loopback interface.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self._port), RPC_TIMEOUT)
        try:
            self._stream = context.wrap_socket(plain)
        except OSError:
            plain.close()
            raise

    def _exchange(self, method: str, arguments: tuple[object, ...], options: dict[str, object]) -> Any:
        assert self._stream is not None
        number = next(self._ids)
        body = zlib.compress(self._rencode.dumps([[number, method, list(arguments), options]]))
        self._stream.sendall(HEADER.pack(PROTOCOL, len(body)) + body)
        while True:
            version, length = HEADER.unpack(self._receive(HEADER.size))
            if version != PROTOCOL or length > MAX_RESPONSE:
                raise ValueError("not a message of Deluge's protocol")
            kind, about, *rest = self._rencode.loads(zlib.decompress(self._receive(length)), decode_utf8=True)
            if kind == EVENT or about != number:
                continue
            if kind == RESPONSE:
                return rest[0]
            raise AdapterError(f"Deluge refused {method}: {' '.join(str(part) for part in rest[:2])}")

    def _receive(self, length: int) -> bytes:
        assert self._stream is not None
        data = bytearray()
        while len(data) < length:
            received = self._stream.recv(length - len(data))
            if not received:
                raise OSError("Deluge closed the connection")
            data += received
        return bytes(data)


class DelugeAdapter(RpcAdapter[DelugeConnection]):
    """Deluge (deluged)."""

    name = "deluge"
    display_name = "Deluge"
    start_timeout = 30.0
    stop_signal = signal.SIGTERM

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(8)
        super().__init__(settings, on_output, DelugeConnection(self._port, "torrentnet", self._password))
        self._id = settings.info.info_hash.hex()

    def version(self) -> str:
        return first_output_line(find_command(COMMAND), "--version").rpartition(" ")[2]

    def start(self) -> None:
        settings = self.settings
        (settings.state / "auth").write_text(f"torrentnet:{self._password}:{ADMIN}\n", encoding="utf-8")
        # Two JSON documents: the file's format, and the settings.
        documents = ({"file": 1, "format": 1}, self._settings())
        (settings.state / "core.conf").write_text("".join(map(json.dumps, documents)), encoding="utf-8")
        # What the daemon had when it was killed it may load paused, or half: without it, it checks the file itself.
        for left in (settings.state / "state").glob("torrents.*"):
            left.unlink()
        self._start_process(
            [
                find_command(COMMAND),
                "--do-not-daemonize",
                f"--config={settings.state}",
                f"--port={self._port}",
                "--ui-interface=127.0.0.1",
                "--loglevel=error",
            ]
        )
        content = base64.b64encode(settings.torrent.read_bytes()).decode("ascii")
        self._rpc.call(
            "core.add_torrent_file", settings.torrent.name, content, {"download_location": str(settings.directory)}
        )

    def _settings(self) -> dict[str, object]:
        settings = self.settings
        rate = settings.upload_rate
        return {
            "add_paused": False,
            "allow_remote": False,
            "daemon_port": self._port,
            "dht": False,
            "download_location": str(settings.directory),
            "enabled_plugins": [],
            # 2: disabled, for both directions.
            "enc_in_policy": 2,
            "enc_out_policy": 2,
            "listen_interface": settings.listen.ip,
            "listen_ports": [settings.listen.port, settings.listen.port],
            "lsd": False,
            # In units of 1,024 bytes per second; -1 means unlimited.
            "max_upload_speed": rate / 1024 if rate is not None else -1.0,
            "natpmp": False,
            "new_release_check": False,
            "pre_allocate_storage": False,
            "random_port": False,
            "rate_limit_ip_overhead": False,
            "send_info": False,
            "upnp": False,
            "utpex": False,
        }

    def _ping(self) -> None:
        self._rpc.call("daemon.info")

    def _on_line(self, line: str) -> None:
        self.on_output(line)

    def _read_status(self) -> ClientStatus:
        status = self._rpc.call("core.get_torrent_status", self._id, STATUS_KEYS)
        if not status:
            raise AdapterError("Deluge no longer lists the torrent")
        if status["state"] == "Error":
            raise AdapterError(f"Deluge failed: {status['message']}")
        complete = status["state"] == "Seeding" and bool(status["is_seed"])
        pieces = self.settings.info.pieces
        return ClientStatus(
            pieces if complete else sum(piece == PIECE_COMPLETE for piece in status["pieces"] or ()),
            complete,
            "Announce OK" in status["tracker_status"],
            status["total_payload_download"],
            status["total_payload_upload"],
            status["num_peers"] + status["num_seeds"],
        )
