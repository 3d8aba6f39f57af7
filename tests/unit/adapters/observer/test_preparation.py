"""The program's files are copied into the node's directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.adapters.observer.preparation import copy_file, copy_tree, write_torrent
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.info import make_info
from torrentnet.wire.metainfo import parse_torrent, torrent_with_url

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tree_is_copied_without_links(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "src").mkdir(parents=True)
    (source / "src" / "peer.py").write_text("pass")
    (source / "run.sh").write_text("#!/bin/sh")
    (source / "run.sh").chmod(0o700)
    (source / "link").symlink_to("/etc/passwd")
    copy_tree(source, target)
    found = {str(path.relative_to(target)): path.stat().st_mode & 0o777 for path in target.rglob("*") if path.is_file()}
    assert found == {"src/peer.py": 0o644, "run.sh": 0o755}


def test_what_exists_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "state").write_text("new")
    (target / "state").write_text("of an earlier run")
    copy_tree(source, target)
    assert (target / "state").read_text() == "of an earlier run"


def test_a_half_copied_file_is_copied_again(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("whole")
    (tmp_path / "target.observer-part").write_text("who")
    copy_file(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_the_torrent_names_the_tracker_and_the_node(tmp_path: Path) -> None:
    (tmp_path / "x.torrent").write_bytes(torrent_with_url(make_info("x", 5, 16384, bytes(20)), None))
    folder = tmp_path / "node"
    folder.mkdir()
    for name in ("leecher-1", "kept"):
        write_torrent(tmp_path / "x.torrent", folder, Endpoint("198.18.0.2", 6771), name)
    content = (folder / "x.torrent").read_bytes()
    assert b"udp://198.18.0.2:6771/announce?peer=leecher-1" in content
    assert parse_torrent(content).name == "x"
