"""The adapters' command line.

Each mistake is reported in one clear line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.adapters.main import main
from torrentnet.wire.info import make_info
from torrentnet.wire.metainfo import torrent_with_url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a .torrent but without its file; no client is on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("TORRENTNET_CONSOLE", raising=False)
    (tmp_path / "a.torrent").write_bytes(torrent_with_url(make_info("a.bin", 5, 16384, bytes(20)), None))
    return tmp_path


COMMON = "127.0.0.1:6771 127.0.0.1:6881"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("", 2, "client: error: the following arguments are required: PROGRAM (try client --help)"),
        (
            f"aria2 get a.bin {COMMON}",
            2,
            "client aria2: error: the following arguments are required: --torrent (try client aria2 --help)",
        ),
        (
            "aria2 get a.bin 127.0.0.1 127.0.0.1:6881 --torrent a.torrent",
            2,
            (
                "client aria2: error: argument TRACKER_ADDRESS: `127.0.0.1` is not HOST:PORT;"
                " write for example `127.0.0.1:6771`"
                " (try client aria2 --help)"
            ),
        ),
        (
            f"libtorrent get a.bin {COMMON} --torrent b.torrent",
            2,
            (
                "client libtorrent: error: argument --torrent: b.torrent cannot be read: no such file or directory"
                " (try client libtorrent --help)"
            ),
        ),
        (
            f"aria2 get b.bin {COMMON} --torrent a.torrent",
            1,
            "client: error: the .torrent describes 'a.bin', not 'b.bin'",
        ),
        (f"aria2 get a.bin {COMMON} --torrent a.torrent --dir x", 1, "client: error: {place}/x is not a directory"),
        (f"aria2 share a.bin {COMMON} --torrent a.torrent", 1, "client: error: {place}/a.bin does not exist"),
        (
            f"aria2 get a.bin {COMMON} --torrent a.torrent --state a.torrent",
            1,
            "client: error: cannot create {place}/a.torrent: file exists",
        ),
        (
            f"aria2 get a.bin {COMMON} --torrent a.torrent",
            1,
            "client: error: aria2c is not installed (Debian package: aria2)",
        ),
        (
            f"transmission get a.bin {COMMON} --torrent a.torrent",
            1,
            "client: error: transmission-daemon is not installed (Debian package: transmission-daemon)",
        ),
        (
            "opentracker 127.0.0.1:6771 --torrent a.torrent",
            1,
            "client: error: opentracker is not installed (Debian package: opentracker)",
        ),
    ],
)
def test_a_mistake_is_one_line(
    directory: Path, capsys: pytest.CaptureFixture[str], words: str, status: int, message: str
) -> None:
    try:
        status_seen: object = main(words.split())
    except SystemExit as end:
        status_seen = end.code
    lines = capsys.readouterr().err.splitlines()
    assert (status_seen, lines[-1]) == (status, message.format(place=directory))
