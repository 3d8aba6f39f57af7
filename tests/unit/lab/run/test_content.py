"""The files and .torrents of a lab: the same seed gives the same bytes.

The info-hash is the one that our own peers compute.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.command_lines import torrent_path
from torrentnet.lab.engines.local.engine import LocalEngine
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.run.content import CHUNK_SIZE, make_files, make_torrents
from torrentnet.lab.scenario.plan.plan import FilePlan, NodeProgram, TorrentPlan
from torrentnet.peer.storage.file_store import open_complete
from torrentnet.wire.info import choose_piece_length
from torrentnet.wire.metainfo import parse_torrent

if TYPE_CHECKING:
    from pathlib import Path


def test_content_follows_from_the_seed(tmp_path: Path) -> None:
    plans = (FilePlan("empty", 0), FilePlan("one", 1), FilePlan("more", 2 * CHUNK_SIZE + 7))
    first = make_files(plans, 7, tmp_path / "a")
    assert make_files(plans, 7, tmp_path / "b") == first
    assert make_files(plans, 8, tmp_path / "c")["more"] != first["more"]
    for plan in plans:
        content = (tmp_path / "a" / plan.name).read_bytes()
        assert len(content) == plan.content
        assert hashlib.sha256(content).hexdigest() == first[plan.name]
        # The nodes' user does not exist on this machine.
        assert (tmp_path / "a" / plan.name).stat().st_mode & 0o444 == 0o444


def test_text_is_lines_of_ascii_of_the_very_size(tmp_path: Path) -> None:
    plans = (FilePlan("some.txt", 1024, text=True), FilePlan("byte.txt", 1, text=True))
    first = make_files(plans, 7, tmp_path / "a")
    assert make_files(plans, 7, tmp_path / "b") == first
    content = (tmp_path / "a/some.txt").read_bytes()
    assert (len(content), (tmp_path / "a/byte.txt").stat().st_size) == (1024, 1)
    assert len(content.decode("ascii").splitlines()) > 10


def test_two_files_of_one_size_differ(tmp_path: Path) -> None:
    hashes = make_files((FilePlan("a", 100), FilePlan("b", 100)), 7, tmp_path / "x")
    assert hashes["a"] != hashes["b"]


def test_a_source_file_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    hashes = make_files((FilePlan("a", source),), 7, tmp_path / "x")
    assert (tmp_path / "x/a").read_bytes() == b"content"
    assert hashes["a"] == hashlib.sha256(b"content").hexdigest()
    source.unlink()
    with pytest.raises(LabError, match="the file a cannot be created: No such file or directory"):
        make_files((FilePlan("a", source),), 7, tmp_path / "y")


def test_a_file_in_a_folder_is_readable_by_everyone(tmp_path: Path) -> None:
    hashes = make_files((FilePlan("a", 100), FilePlan("fake/a", 100)), 7, tmp_path / "x")
    assert hashes["fake/a"] != hashes["a"]
    assert (tmp_path / "x/fake/a").stat().st_size == 100
    assert (tmp_path / "x/fake").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("piece_length", [None, 16 * 1024])
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(("name", "size"), [("a.txt", 700_000), ("empty", 0), ("fake/a.txt", 1)])
def test_a_torrent_describes_the_file_as_a_peer_does(
    tmp_path: Path, name: str, size: int, private: bool, piece_length: int | None
) -> None:
    make_files((FilePlan(name, size),), 1, tmp_path / "files")
    make_torrents((TorrentPlan(name, piece_length, private),), tmp_path / "files")
    torrent = tmp_path / "files" / torrent_path(name)
    info = parse_torrent(torrent.read_bytes())
    length = piece_length or choose_piece_length(size)
    store = open_complete(tmp_path / "files" / name, length, lambda *_: None, lambda: False, private=private)
    store.close()
    assert info == store.info
    # The nodes' user does not exist on this machine.
    assert torrent.stat().st_mode & 0o004
    assert torrent.parent.stat().st_mode & 0o005


def test_a_torrent_that_cannot_be_created_names_the_file(tmp_path: Path) -> None:
    make_files((FilePlan("a.txt", 1),), 1, tmp_path / "files")
    (tmp_path / "files" / ".torrents").write_text("in the way")
    with pytest.raises(LabError, match=r"^the \.torrent of a\.txt cannot be created: .*: .*torrents"):
        make_torrents((TorrentPlan("a.txt", None, True),), tmp_path / "files")


def test_an_engine_names_the_programs_that_it_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        LocalEngine(tmp_path).prepare_programs((NodeProgram.ARIA2, NodeProgram.OPENTRACKER), print)
    assert caught.value.message == "the engine `local` runs our own programs only, not aria2 and opentracker"
    assert "--engine docker" in caught.value.hint
    assert caught.value.exit_code == 3
