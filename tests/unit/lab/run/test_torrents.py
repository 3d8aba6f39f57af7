"""The .torrents that a lab makes: the same info-hash as our own peers would come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.local.engine import LocalEngine
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.run.content import make_files
from torrentnet.lab.run.torrents import make_torrents, torrent_path
from torrentnet.lab.scenario.plan import FilePlan, NodeProgram, TorrentPlan
from torrentnet.peer.storage.file_store import open_complete
from torrentnet.wire.info import choose_piece_length
from torrentnet.wire.metainfo import parse_torrent

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("piece_length", [None, 16 * 1024])
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(("name", "size"), [("a.txt", 700_000), ("empty", 0), ("fake/a.txt", 1)])
def test_a_torrent_describes_the_file_as_a_peer_does(
    tmp_path: Path, name: str, size: int, private: bool, piece_length: int | None
) -> None:
    make_files((FilePlan(name, size, None),), 1, tmp_path / "files")
    make_torrents((TorrentPlan(name, piece_length, private),), tmp_path / "files")
    made = tmp_path / "files" / torrent_path(name)
    info = parse_torrent(made.read_bytes())
    length = piece_length or choose_piece_length(size)
    store = open_complete(tmp_path / "files" / name, length, lambda *_: None, lambda: False, private=private)
    store.close()
    assert info == store.info
    # The nodes' user is none of this machine's.
    assert made.stat().st_mode & 0o004
    assert made.parent.stat().st_mode & 0o005


def test_a_torrent_that_cannot_be_made_names_the_file(tmp_path: Path) -> None:
    make_files((FilePlan("a.txt", 1, None),), 1, tmp_path / "files")
    (tmp_path / "files" / ".torrents").write_text("in the way")
    with pytest.raises(LabError, match=r"^the \.torrent of a\.txt cannot be made: .*: .*torrents"):
        make_torrents((TorrentPlan("a.txt", None, True),), tmp_path / "files")


def test_an_engine_without_other_peoples_programs_names_them(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        LocalEngine(tmp_path).prepare_programs((NodeProgram.ARIA2, NodeProgram.OPENTRACKER), print)
    assert caught.value.message == "the engine `local` runs our own programs only, not aria2 and opentracker"
    assert "--engine docker" in caught.value.hint
    assert caught.value.exit_code == 3
