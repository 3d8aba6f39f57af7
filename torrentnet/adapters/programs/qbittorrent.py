"""Run qBittorrent without a window and control it by its Web API.

API: https://github.com/qbittorrent/qBittorrent/wiki/WebUI-API-(qBittorrent-4.1).

Tested by tests/interop/test_every_pair.py, tests/interop/test_goodbye.py.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line, free_port
from torrentnet.adapters.rpc import HttpConnection, RpcAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

COMMAND: Final = "qbittorrent-nox"
FAILED_STATES: Final = {"error": "an error of the file", "missingFiles": "the file is missing"}
SEED_STATES: Final = {"uploading", "stalledUP", "forcedUP"}
TRACKER_WORKS: Final = 2
TRACKER_FAILS: Final = 4


class QbittorrentAdapter(RpcAdapter[HttpConnection]):
    """qBittorrent (qbittorrent-nox)."""

    name = "qbittorrent"
    display_name = "qBittorrent"
    start_timeout = 30.0
    stop_signal = signal.SIGTERM

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self._port = free_port()
        super().__init__(settings, on_output, HttpConnection(self._port))
        self._told = ""

    def version(self) -> str:
        return first_output_line(find_command(COMMAND), "--version").rpartition(" ")[2].removeprefix("v")

    def start(self) -> None:
        settings = self.settings
        configuration = settings.state / "qBittorrent" / "config" / "qBittorrent.conf"
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text(self._settings(), encoding="utf-8")
        self._start_process(
            [
                find_command(COMMAND),
                f"--profile={settings.state}",
                f"--webui-port={self._port}",
                f"--save-path={settings.directory}",
                str(settings.torrent),
            ]
        )

    def _settings(self) -> str:
        settings = self.settings
        rate = settings.upload_rate
        # In units of 1,024 bytes per second; 0 means unlimited.
        limit = max(1, int(rate / 1024)) if rate is not None else 0
        return f"""[LegalNotice]
Accepted=true

[BitTorrent]
Session\\AnnounceToAllTrackers=true
Session\\BTProtocol=TCP
Session\\DHTEnabled=false
Session\\Encryption=2
Session\\GlobalUPSpeedLimit={limit}
Session\\IgnoreLimitsOnLAN=false
Session\\InterfaceAddress={settings.listen.ip}
Session\\LSDEnabled=false
Session\\MultiConnectionsPerIp=true
Session\\PeXEnabled=false
Session\\Port={settings.listen.port}
Session\\Preallocation=false
Session\\QueueingSystemEnabled=false
Session\\StopTrackerTimeout=1

[Network]
PortForwardingEnabled=false

[Preferences]
WebUI\\Address=127.0.0.1
WebUI\\CSRFProtection=false
WebUI\\HostHeaderValidation=false
WebUI\\LocalHostAuth=false
WebUI\\UseUPnP=false
"""

    def _ping(self) -> None:
        self._call("app/webapiVersion", parsed=False)

    def _on_line(self, line: str) -> None:
        """Ignore the line: it says how to reach the web page, and the log is a file."""

    def _call(self, what: str, *, parsed: bool = True) -> Any:
        status, _, document = self._rpc.post_form(
            f"/api/v2/{what}", {"hash": self.settings.info.info_hash.hex()} if parsed else {}
        )
        if status == 404:
            return None
        if status != 200 or (parsed and document is None):
            raise AdapterError(f"qBittorrent refused {what}: HTTP status {status}")
        return document

    def _read_status(self) -> ClientStatus:
        properties = self._call("torrents/properties")
        torrents = self._call("torrents/info")
        if properties is None or not torrents:
            # The program answers before it has read the .torrent on its command line.
            return ClientStatus(0, complete=False, announced=False)
        state = torrents[0]["state"]
        if state in FAILED_STATES:
            raise AdapterError(f"qBittorrent failed: {FAILED_STATES[state]}")
        trackers = self._call("torrents/trackers") or []
        self._report_trackers(trackers)
        return ClientStatus(
            properties["pieces_have"],
            state in SEED_STATES,
            any(tracker["status"] == TRACKER_WORKS for tracker in trackers if "://" in tracker["url"]),
            properties["total_downloaded"],
            properties["total_uploaded"],
            properties["peers"] + properties["seeds"],
        )

    def _report_trackers(self, trackers: list[dict[str, Any]]) -> None:
        told = "; ".join(str(tracker["msg"]) for tracker in trackers if tracker["status"] == TRACKER_FAILS)
        if told and told != self._told:
            self.on_output(f"the tracker's answer: {told}")
        self._told = told
