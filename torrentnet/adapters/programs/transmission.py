"""Run Transmission's daemon and control it by its RPC over a Unix socket.

Settings: https://github.com/transmission/transmission/blob/main/docs/Editing-Configuration-Files.md; calls:
docs/rpc-spec.md in the same repository.

Tested by tests/interop/test_every_pair.py, tests/interop/test_goodbye.py.
"""

from __future__ import annotations

import base64
import json
import re
import signal
from typing import TYPE_CHECKING, Any, Final

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line
from torrentnet.adapters.rpc import HttpConnection, RpcAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

COMMAND: Final = "transmission-daemon"
STATUS_SEEDING: Final = 6
STATUS_FIELDS: Final = (
    "status",
    "pieces",
    "leftUntilDone",
    "error",
    "errorString",
    "trackerStats",
    "uploadedEver",
    "downloadedEver",
    "peersConnected",
)
LOCAL_ERROR: Final = 3
"""A torrent's error code for a problem with the file, not with the tracker."""
SESSION_HEADER: Final = "X-Transmission-Session-Id"
NOISE: Final = re.compile(r"queue\.json")
"""A complaint about a file that is missing at the first start."""


class TransmissionAdapter(RpcAdapter[HttpConnection]):
    """Transmission (transmission-daemon)."""

    name = "transmission"
    display_name = "Transmission"
    start_timeout = 30.0
    stop_signal = signal.SIGTERM

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self._socket = str(settings.state / "rpc")
        super().__init__(settings, on_output, HttpConnection(self._socket))
        self._session = ""
        self._id = 0

    def version(self) -> str:
        return first_output_line(find_command(COMMAND), "--version").removeprefix(f"{COMMAND} ")

    def start(self) -> None:
        settings = self.settings
        (settings.state / "settings.json").write_text(json.dumps(self._settings(), indent=4), encoding="utf-8")
        self._start_process(
            [
                find_command(COMMAND),
                "--foreground",
                "--config-dir",
                str(settings.state),
                "--log-level",
                "error",
            ]
        )
        metainfo = base64.b64encode(settings.torrent.read_bytes()).decode("ascii")
        added = self._call(
            "torrent-add", metainfo=metainfo, **{"download-dir": str(settings.directory), "paused": False}
        )
        # After a restart, the daemon already has the torrent.
        torrent = added.get("torrent-added") or added.get("torrent-duplicate")
        if not torrent:
            raise AdapterError("Transmission did not accept the .torrent file")
        self._id = torrent["id"]

    def _ping(self) -> None:
        self._call("session-get", fields=["version"])

    def _on_line(self, line: str) -> None:
        if not NOISE.search(line):
            self.on_output(line)

    def _settings(self) -> dict[str, object]:
        settings = self.settings
        rate = settings.upload_rate
        return {
            "bind-address-ipv4": settings.listen.ip,
            "dht-enabled": False,
            "download-dir": str(settings.directory),
            "encryption": 0,
            "incomplete-dir-enabled": False,
            "lpd-enabled": False,
            "peer-port": settings.listen.port,
            "peer-port-random-on-start": False,
            "pex-enabled": False,
            "port-forwarding-enabled": False,
            "preallocation": 0,
            "rpc-authentication-required": False,
            "rpc-bind-address": f"unix:{self._socket}",
            "rpc-enabled": True,
            "rpc-host-whitelist-enabled": False,
            "rpc-whitelist-enabled": False,
            # In units of 1,000 bytes per second.
            "speed-limit-up": max(1, int(rate / 1000)) if rate is not None else 0,
            "speed-limit-up-enabled": rate is not None,
            "torrent-added-verify-mode": "full",
            "utp-enabled": False,
            "watch-dir-enabled": False,
        }

    def _call(self, method: str, **arguments: object) -> dict[str, Any]:
        for _ in range(2):
            document = {"method": method, "arguments": arguments}
            status, headers, response = self._rpc.post(
                "/transmission/rpc", document, {SESSION_HEADER: self._session} if self._session else {}
            )
            if status == 409:
                # Protection against cross-site requests: each request must contain the session id.
                self._session = headers.get(SESSION_HEADER, "")
                continue
            if isinstance(response, dict) and response.get("result") == "success":
                result = response.get("arguments", {})
                return result if isinstance(result, dict) else {}
            raise AdapterError(f"Transmission refused {method}: {response.get('result') if response else status}")
        raise AdapterError(f"Transmission refused {method}: it rejects its own session id")

    def _read_status(self) -> ClientStatus:
        torrents = self._call("torrent-get", ids=[self._id], fields=STATUS_FIELDS)["torrents"]
        if not torrents:
            raise AdapterError("Transmission no longer lists the torrent")
        torrent = torrents[0]
        if torrent["error"] == LOCAL_ERROR:
            raise AdapterError(f"Transmission failed: {torrent['errorString']}")
        bits = base64.b64decode(torrent["pieces"])
        announced = any(tracker["lastAnnounceSucceeded"] for tracker in torrent["trackerStats"])
        complete = torrent["status"] == STATUS_SEEDING and torrent["leftUntilDone"] == 0
        held = int.from_bytes(bits, "big").bit_count()
        return ClientStatus(
            held, complete, announced, torrent["downloadedEver"], torrent["uploadedEver"], torrent["peersConnected"]
        )
