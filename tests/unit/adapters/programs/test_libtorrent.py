"""What the libtorrent adapter says when the library refuses its torrent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from torrentnet.adapters.adapter import AdapterError, ClientSettings
from torrentnet.adapters.programs.libtorrent import LibtorrentAdapter
from torrentnet.wire.endpoint import Endpoint


class Kinds:
    status_notification = error_notification = tracker_notification = 1
    storage_notification = piece_progress_notification = 1


class Library(SimpleNamespace):
    """The part of the module that the adapter uses before it has a torrent."""

    alert = SimpleNamespace(category_t=Kinds)

    def session(self, settings: dict[str, object]) -> SimpleNamespace:
        assert settings["enable_dht"] is False
        return SimpleNamespace(set_alert_fd=lambda descriptor: None)

    def add_torrent_params(self) -> SimpleNamespace:
        return SimpleNamespace()

    def torrent_info(self, path: str) -> None:
        raise RuntimeError("torrent has no files")


def test_a_rejected_torrent_is_the_cause_that_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "libtorrent", cast("Any", Library()))
    here = Endpoint("127.0.0.1", 6881)
    settings = ClientSettings(
        cast("Any", None), Path("empty.torrent"), True, tmp_path, tmp_path, here, here, upload_rate=None
    )
    adapter = LibtorrentAdapter(settings, lambda line: None)
    with pytest.raises(AdapterError, match=r"libtorrent rejects empty\.torrent: torrent has no files"):
        adapter.start()
    # A node stops its client whether it was started or not; an error then would hide the cause.
    adapter.stop(1.0)
