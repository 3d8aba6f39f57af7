"""Transmission's daemon, driven by its RPC over a Unix socket.

Settings: https://github.com/transmission/transmission/blob/main/docs/Editing-Configuration-Files.md, the calls:
docs/rpc-spec.md there.
"""

from __future__ import annotations

import base64
import json
import re
import signal
from typing import TYPE_CHECKING, Any

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line
from torrentnet.adapters.daemon import RpcAdapter
from torrentnet.adapters.rpc import RpcConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

COMMAND, PACKAGE = "transmission-daemon", "transmission-daemon"
STATUS_SEEDING = 6
STATUS_FIELDS = (
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
LOCAL_ERROR = 3
"""Of a torrent: something with the file, not with the tracker."""
SESSION_HEADER = "X-Transmission-Session-Id"
KILOBYTE = 1000
NOISE = re.compile(r"queue\.json")
"""A complaint about what is not there at a first start."""


class TransmissionAdapter(RpcAdapter):
    """See :class:`Client`."""

    name = "transmission"
    display_name = "Transmission"
    start_timeout = 30.0
    stop_signal = signal.SIGTERM

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self._socket = str(settings.state / "rpc")
        super().__init__(settings, on_output, RpcConnection(self._socket, "/transmission/rpc"))
        self._session = ""
        self._id = 0

    def version(self) -> str:
        """See :meth:`Client.version`."""
        return first_output_line(find_command(COMMAND, PACKAGE), "--version").removeprefix("transmission-daemon ")

    def start(self) -> None:
        """See :meth:`Client.start`."""
        job = self.settings
        settings = job.state / "settings.json"
        settings.write_text(json.dumps(self._settings(), indent=4), encoding="utf-8")
        self._start_process(
            [find_command(COMMAND, PACKAGE), "--foreground", "--config-dir", str(job.state), "--log-level", "error"]
        )
        metainfo = base64.b64encode(job.torrent.read_bytes()).decode("ascii")
        added = self._call("torrent-add", metainfo=metainfo, **{"download-dir": str(job.directory), "paused": False})
        # A torrent of an earlier life is there already.
        torrent = added.get("torrent-added") or added.get("torrent-duplicate")
        if not torrent:
            raise AdapterError("Transmission did not take the .torrent")
        self._id = torrent["id"]

    def _ping(self) -> None:
        self._call("session-get", fields=["version"])

    def _on_line(self, line: str) -> None:
        if not NOISE.search(line):
            self.on_output(line)

    def _settings(self) -> dict[str, object]:
        job = self.settings
        rate = job.upload_rate
        return {
            "bind-address-ipv4": job.listen.ip,
            "dht-enabled": False,
            "download-dir": str(job.directory),
            "encryption": 0,
            "incomplete-dir-enabled": False,
            "lpd-enabled": False,
            "peer-port": job.listen.port,
            "peer-port-random-on-start": False,
            "pex-enabled": False,
            "port-forwarding-enabled": False,
            "preallocation": 0,
            "rpc-authentication-required": False,
            "rpc-bind-address": f"unix:{self._socket}",
            "rpc-enabled": True,
            "rpc-host-whitelist-enabled": False,
            "rpc-whitelist-enabled": False,
            # Whole kilobytes of 1,000 bytes a second.
            "speed-limit-up": max(1, int(rate / KILOBYTE)) if rate is not None else 0,
            "speed-limit-up-enabled": rate is not None,
            "torrent-added-verify-mode": "full",
            "utp-enabled": False,
            "watch-dir-enabled": False,
        }

    def _call(self, method: str, **arguments: object) -> dict[str, Any]:
        for _ in range(2):
            document = {"method": method, "arguments": arguments}
            status, headers, answer = self._rpc.post(document, {SESSION_HEADER: self._session} if self._session else {})
            if status == 409:
                # So it guards itself against web pages: the id has to be echoed.
                self._session = headers.get(SESSION_HEADER, "")
                continue
            if isinstance(answer, dict) and answer.get("result") == "success":
                found = answer.get("arguments", {})
                return found if isinstance(found, dict) else {}
            raise AdapterError(f"Transmission refused {method}: {answer.get('result') if answer else status}")
        raise AdapterError(f"Transmission refused {method}: it takes no session id")

    def _read_status(self) -> ClientStatus:
        told = self._call("torrent-get", ids=[self._id], fields=STATUS_FIELDS)["torrents"]
        if not told:
            raise AdapterError("Transmission has lost the torrent")
        torrent = told[0]
        if torrent["error"] == LOCAL_ERROR:
            raise AdapterError(f"Transmission gave up: {torrent['errorString']}")
        bits = base64.b64decode(torrent["pieces"])
        announced = any(tracker["lastAnnounceSucceeded"] for tracker in torrent["trackerStats"])
        whole = torrent["status"] == STATUS_SEEDING and torrent["leftUntilDone"] == 0
        have = int.from_bytes(bits, "big").bit_count()
        return ClientStatus(
            have, whole, announced, torrent["downloadedEver"], torrent["uploadedEver"], torrent["peersConnected"]
        )
