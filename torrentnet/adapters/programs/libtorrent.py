"""The adapter that runs libtorrent (rasterbar) in this process.

libtorrent is the library of qBittorrent and Deluge.

Settings: https://www.libtorrent.org/reference-Settings.html.

Tested by tests/unit/adapters/programs/test_libtorrent.py and tests/interop/test_every_pair.py.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import time
from typing import TYPE_CHECKING, Any, Final

from torrentnet.adapters.adapter import AdapterError, ClientAdapter, ClientStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

ENCRYPTION_DISABLED: Final = 2
"""libtorrent's pe_disabled."""
ALERT_TIMEOUT: Final = 0.2
"""Longest wait for the next alert while the torrent stops."""


class LibtorrentAdapter(ClientAdapter):
    """libtorrent (python3-libtorrent)."""

    name = "libtorrent"

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        super().__init__(settings, on_output)
        self._session: Any = None
        self._torrent: Any = None
        self._announced = False
        self._goodbye_sent = False
        self._failure = ""
        # The library writes to this pipe when alerts are pending. Its wait_for_alert() returns memory that other
        # threads may move: one start in fifty crashed.
        self._alerts_read, self._alerts_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def version(self) -> str:
        return str(_load().__version__)

    def start(self) -> None:
        library, settings = _load(), self.settings
        kinds = library.alert.category_t
        self._session = library.session(
            {
                "alert_mask": int(kinds.status_notification | kinds.error_notification)
                | int(kinds.tracker_notification | kinds.storage_notification | kinds.piece_progress_notification),
                "allow_multiple_connections_per_ip": True,
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "enable_incoming_utp": False,
                "enable_outgoing_utp": False,
                "in_enc_policy": ENCRYPTION_DISABLED,
                "out_enc_policy": ENCRYPTION_DISABLED,
                "listen_interfaces": str(settings.listen),
                "min_announce_interval": 5,
                "stop_tracker_timeout": 1,
            }
        )
        self._session.set_alert_fd(self._alerts_write)
        parameters = library.add_torrent_params()
        try:
            parameters.ti = library.torrent_info(str(settings.torrent))
        except RuntimeError as error:
            raise AdapterError(f"libtorrent rejects {settings.torrent}: {error}") from None
        parameters.save_path = str(settings.directory)
        flags = library.torrent_flags
        parameters.flags &= ~(flags.auto_managed | flags.paused)
        self._torrent = self._session.add_torrent(parameters)
        if settings.upload_rate is not None:
            # The session's own limit would exempt peers on local networks.
            self._torrent.set_upload_limit(max(1, round(settings.upload_rate)))

    def wait(self, timeout: float, wake: int) -> None:
        if self._alerts_read in select.select([wake, self._alerts_read], [], [], max(0.0, timeout))[0]:
            self._drain_pipe()

    def _drain_pipe(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._alerts_read, 4096)

    def _handle_alerts(self) -> None:
        for alert in self._session.pop_alerts():
            kind = type(alert).__name__
            if kind == "tracker_reply_alert":
                self._announced = True
                self._goodbye_sent = bool(self._torrent.status().paused)
            elif kind in {"torrent_error_alert", "file_error_alert", "listen_failed_alert"}:
                self._failure = alert.message()
            elif kind == "tracker_error_alert":
                self.on_output(alert.message())

    def poll(self) -> ClientStatus:
        self._handle_alerts()
        if self._failure:
            raise AdapterError(f"libtorrent failed: {self._failure}")
        status = self._torrent.status()
        complete = bool(status.is_seeding)
        return ClientStatus(
            self.settings.info.pieces if complete else status.num_pieces,
            complete,
            self._announced,
            status.total_payload_download,
            status.total_payload_upload,
            status.num_peers,
        )

    def stop(self, timeout: float) -> None:
        if self._torrent is None:
            # The session was refused or its torrent was: whoever stops it has the cause.
            self._session = None
            return
        # Pausing sends the stopped event; destroying the session does not wait for its delivery.
        self._torrent.pause()
        self._goodbye_sent = not self._announced
        deadline = time.monotonic() + timeout / 2
        while not self._goodbye_sent and time.monotonic() < deadline:
            select.select([self._alerts_read], [], [], ALERT_TIMEOUT)
            self._drain_pipe()
            self._handle_alerts()
        self._torrent = None
        self._session = None


def _load() -> Any:
    try:
        return importlib.import_module("libtorrent")
    except ImportError:
        raise AdapterError("this Python has no module libtorrent (Debian package: python3-libtorrent)") from None
