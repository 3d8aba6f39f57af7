"""PyPI's libtorrent on 127.0.0.0/8 as a leecher and as a seed.

The clients' image has Debian's version; tests/interop has the tests of that one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loopback.programs import Loopback, Program, digest, make_file

NAME = "myfile.txt"
SIZE = 6 * 1024 * 1024 + 5
DEADLINE = 60.0

pytest.importorskip("libtorrent", reason="libtorrent is not installed: pip install libtorrent", exc_type=ImportError)


class Swarm:
    """A tracker, our seed's .torrent, and libtorrent with a fixed endpoint."""

    def __init__(self, loopback: Loopback, directory: Path) -> None:
        self._loopback = loopback
        self._directory = directory
        self.source = make_file(directory / NAME, SIZE)
        self.torrent = directory / "it.torrent"
        self.tracker = loopback.tracker()

    def share(self, *options: object) -> Program:
        """Start our own seed, which writes the .torrent."""
        options = ("--name", "seed", "--public", "--torrent", self.torrent, *options)
        return self._loopback.share(self.source, self.tracker, *options)

    def libtorrent(self, mode: str, directory: Path) -> Program:
        """Start libtorrent in the directory, which is created."""
        directory.mkdir(exist_ok=True)
        words = ("torrentnet.adapters", "libtorrent", mode, NAME, self.tracker.address, "127.0.0.9:26881")
        options = (
            "--torrent",
            self.torrent,
            "--dir",
            directory,
            "--state",
            directory / "state",
            "--name",
            "libtorrent",
        )
        program = Program(Path("-m"), *words, *options, "--console", self._directory / "libtorrent.sock")
        self._loopback.programs.append(program)
        return program


@pytest.fixture
def swarm(loopback: Loopback, tmp_path: Path) -> Swarm:
    """A tracker and the file, without peers."""
    return Swarm(loopback, tmp_path)


def test_libtorrent_downloads_then_is_the_only_seed(swarm: Swarm, loopback: Loopback, tmp_path: Path) -> None:
    seed = swarm.share()
    client = swarm.libtorrent("get", tmp_path / "theirs")
    client.until("completed", deadline=DEADLINE)
    assert digest(tmp_path / "theirs" / NAME) == digest(swarm.source)
    swarm.tracker.until("completed", peer="libtorrent", deadline=DEADLINE)
    seed.process.terminate()
    swarm.tracker.until("left", peer="seed")
    leecher = loopback.get(NAME, swarm.tracker, tmp_path / "ours", "--name", "ours")
    assert leecher.until("completed", deadline=DEADLINE)["sources"].startswith("libtorrent:")
    assert digest(tmp_path / "ours" / NAME) == digest(swarm.source)
    client.process.terminate()
    swarm.tracker.until("left", peer="libtorrent", deadline=DEADLINE)


def test_libtorrent_resumes_after_it_was_killed(swarm: Swarm, tmp_path: Path) -> None:
    seed = swarm.share("--upload-rate", "2MiB/s")
    first = swarm.libtorrent("get", tmp_path / "theirs")
    first.until("progress", count=2, deadline=DEADLINE)
    first.kill()
    second = swarm.libtorrent("get", tmp_path / "theirs")
    completed = second.until("completed", deadline=DEADLINE)
    assert int(completed["bytes"]) < SIZE
    assert digest(tmp_path / "theirs" / NAME) == digest(swarm.source)
    assert seed.process.poll() is None
