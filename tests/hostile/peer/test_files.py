"""Files that another program changes, and names at the limit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.hostile.peer.rig import FakeSeed, LyingTracker, Wire, info_for, requests, welcome
from tests.loopback.programs import ANYWHERE, PEER, digest, make_file
from torrentnet.peer.storage.file_store import part_path
from torrentnet.wire.peer.messages import Interested, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.loopback.programs import Loopback

PIECES = 8
PIECE = 32 * 1024


def cut(part: Path) -> None:
    os.truncate(part, 100)


def overwrite(part: Path) -> None:
    with part.open("r+b") as file:
        file.write(b"x" * (PIECES * PIECE))


def append(part: Path) -> None:
    with part.open("ab") as file:
        file.write(b"more")


def swap(part: Path) -> None:
    other = part.with_name("other")
    other.write_bytes(bytes(PIECES * PIECE))
    os.rename(other, part)


CHANGED = "{}.part was changed by another program while it was fetched"
KEPT = "  hint: run the same command again: the pieces that are right are kept"
REPLACED = "{}.part was removed or replaced by another program while it was fetched"


@pytest.mark.parametrize(
    ("damage", "error", "hint", "strategy"),
    [
        (cut, CHANGED, KEPT, "single"),
        (overwrite, CHANGED, KEPT, "swarm"),
        (append, CHANGED, KEPT, "single"),
        (swap, REPLACED, "  hint: run the same command again", "swarm"),
    ],
    ids=["cut", "overwritten", "appended", "replaced"],
)
def test_a_part_changed_meanwhile_gets_no_final_name(
    loopback: Loopback,
    liar: LyingTracker,
    tmp_path: Path,
    damage: Callable[[Path], None],
    error: str,
    hint: str,
    strategy: str,
) -> None:
    data, info = info_for(PIECES * PIECE)
    there = tmp_path / "there"
    there.mkdir()
    part = there / "myfile.txt.part"

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        given = 0
        for request in requests(wire, info):
            offset = request.piece * PIECE + request.begin
            wire.block(request.piece, request.begin, data[offset : offset + request.length])
            given += request.length
            if given == 2 * PIECE and seed.connections == 1:
                # Only once; the pieces so far must be on disk.
                leecher.until("progress", have="2")
                damage(part)

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        words = ("get", "myfile.txt", liar.address, ANYWHERE, "--dir", there, "--strategy", strategy)
        leecher = loopback.start(PEER, *words)
        assert leecher.wait() == 1
        assert leecher.errors == [f"peer.py: error: {error.format(there / 'myfile.txt')}", hint]
        assert not (there / "myfile.txt").exists()
        again = loopback.start(PEER, *words)
        again.until("completed")
        assert (there / "myfile.txt").read_bytes() == data
        assert not part.exists()


def test_a_part_that_was_renamed_gets_its_name_all_the_same(
    loopback: Loopback, liar: LyingTracker, tmp_path: Path
) -> None:
    data, info = info_for(PIECES * PIECE)
    there = tmp_path / "there"
    part = there / "myfile.txt.part"

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        for number, request in enumerate(requests(wire, info)):
            offset = request.piece * PIECE + request.begin
            wire.block(request.piece, request.begin, data[offset : offset + request.length])
            if number == 4:
                leecher.until("progress")
                os.rename(part, there / "aside")
                part.write_bytes(b"somebody else's")

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        there.mkdir()
        leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", there)
        leecher.until("completed")
        assert (there / "myfile.txt").read_bytes() == data
        assert part.read_bytes() == b"somebody else's"


def test_a_seed_notices_that_its_file_was_changed_in_place(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", PIECES * PIECE)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed")
    info_hash = bytes.fromhex(seed.until("published")["info_hash"])
    with source.open("r+b") as file:
        file.write(b"other")
    with Wire.greet(seed, info_hash) as wire:
        wire.say(Interested(), Request(0, 0, 16))
        assert seed.wait() == 1
    assert seed.errors == [
        f"peer.py: error: {source}: the file has been changed since it was hashed",
        "  hint: restart the peer to share the current file",
    ]
    tracker.until("left", peer="seed")


def test_a_new_modification_time_alone_does_not_end_a_seed(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", PIECES * PIECE)
    tracker = loopback.tracker()
    loopback.share(source, tracker)
    os.utime(source)
    loopback.get("myfile.txt", tracker, tmp_path / "there").until("completed")
    assert digest(tmp_path / "there" / "myfile.txt") == digest(source)


@pytest.mark.parametrize("name", ["x" * 255, "\N{EURO SIGN}" * 85], ids=["ascii", "multibyte"])
def test_a_name_at_the_limit_can_be_had(loopback: Loopback, tmp_path: Path, name: str) -> None:
    source = make_file(tmp_path / name, 2 * PIECE)
    tracker = loopback.tracker()
    loopback.share(source, tracker)
    there = tmp_path / "there"
    loopback.get(name, tracker, there).until("completed")
    assert [path.name for path in there.iterdir()] == [name]
    assert digest(there / name) == digest(source)
    assert len(part_path(there / name).name.encode()) <= 255
