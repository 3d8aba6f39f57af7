"""The peer's files on a real file system.

They are hashed, filled, resumed, and never damaged.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.downloader import never, nothing
from tests.unit.peer.streams import PIECE, content, info_of
from torrentnet.peer.storage.file_store import FileStore, StorageError, open_complete, open_part, storage_error
from torrentnet.peer.storage.hashing import Cancelled
from torrentnet.wire.info import make_info
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.wire.info import Info

NAME = "myfile.txt"


def part(directory: Path, info: Info) -> FileStore:
    return open_part(directory / NAME, info, nothing, never)


def piece_of(data: bytes, piece: int) -> bytes:
    return data[piece * PIECE : (piece + 1) * PIECE]


# -- Sharing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
def test_a_shared_file_has_an_info_dictionary_of_bep_3(tmp_path: Path, size: int) -> None:
    data = content(size)
    path = tmp_path / NAME
    path.write_bytes(data)
    progress: list[tuple[int, int]] = []
    store = open_complete(path, PIECE, lambda done, total: progress.append((done, total)), never)
    assert store.info == info_of(data)
    assert store.held.is_full
    assert store.held.size == -(-size // PIECE)
    assert progress == [(min((piece + 1) * PIECE, size), size) for piece in range(store.held.size)]
    store.close()
    store.close()


def test_a_symbolic_link_can_be_shared(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"content")
    (tmp_path / NAME).symlink_to("real")
    store = open_complete(tmp_path / NAME, PIECE, nothing, never)
    assert store.info == info_of(b"content")
    store.close()


MAKE: dict[str, Callable[[Path], None]] = {
    "directory": Path.mkdir,
    "fifo": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "dangling-link": lambda path: path.symlink_to("nothing"),
    "link-loop": lambda path: path.symlink_to(path.name),
}
"""What is not a regular file -> how to make one."""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("directory", "{} is a directory; only single files are shared"),
        ("fifo", "{} is not a regular file"),
        ("device", "{} is not a regular file"),
        ("dangling-link", "{} does not exist"),
        ("link-loop", "{} is a symbolic link, which is not followed"),
    ],
)
def test_only_readable_regular_files_are_shared(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / NAME
    MAKE[kind](path)
    with pytest.raises(StorageError) as caught:
        open_complete(path, PIECE, nothing, never)
    assert caught.value.message == message.format(path)


def test_hashing_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(content(3 * PIECE))
    steps = iter([False, True])
    with pytest.raises(Cancelled):
        open_complete(path, PIECE, nothing, lambda: next(steps))


def test_a_file_that_shrinks_while_hashed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(content(3 * PIECE))
    with pytest.raises(StorageError, match="become shorter while it was hashed"):
        open_complete(path, PIECE, lambda done, size: os.truncate(path, PIECE), never)


def test_a_failure_leaves_no_descriptor_open(tmp_path: Path) -> None:
    data = content(3 * PIECE)
    before = sorted(os.listdir("/proc/self/fd"))
    (tmp_path / "short").write_bytes(data)
    with pytest.raises(StorageError):
        open_complete(tmp_path / "short", PIECE, lambda done, size: os.truncate(tmp_path / "short", 1), never)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StorageError):
        open_complete(tmp_path / "fifo", PIECE, nothing, never)
    (tmp_path / NAME).write_bytes(b"other")
    with pytest.raises(StorageError):
        part(tmp_path, info_of(data))
    (tmp_path / "x.part").write_bytes(data)
    with pytest.raises(Cancelled):
        open_part(tmp_path / "x", info_of(data), nothing, lambda: True)
    store = open_part(tmp_path / "y", info_of(data), nothing, never)
    with pytest.raises(StorageError):
        open_part(tmp_path / "y", info_of(data), nothing, never)
    store.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


# -- Filling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE - 5])
def test_pieces_may_be_written_in_any_order(tmp_path: Path, size: int) -> None:
    data = content(size)
    store = part(tmp_path, info_of(data))
    assert (tmp_path / f"{NAME}.part").stat().st_size == size
    assert len(store.held) == 0
    for piece in reversed(range(store.info.pieces)):
        assert store.write_piece(piece, piece_of(data, piece))
        store.held.add(piece)
    assert not (tmp_path / NAME).exists()
    store.finish()
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == data
    assert store.path == tmp_path / NAME
    # The file is still served from the same descriptor.
    assert os.pread(store.descriptor, size, 0) == data
    store.finish()
    store.close()


def test_a_piece_with_a_wrong_hash_is_not_written(tmp_path: Path) -> None:
    data = content(2 * PIECE)
    store = part(tmp_path, info_of(data))
    assert store.write_piece(0, piece_of(data, 0))
    for wrong in (bytes(PIECE), piece_of(data, 0), piece_of(data, 1)[:-1]):
        assert not store.write_piece(1, wrong)
    store.close()
    assert (tmp_path / f"{NAME}.part").read_bytes() == piece_of(data, 0) + bytes(PIECE)


def test_a_new_part_file_takes_no_space(tmp_path: Path) -> None:
    store = part(tmp_path, make_info(NAME, 1 << 40, 1 << 24, bytes(20 * (1 << 16))))
    path = tmp_path / f"{NAME}.part"
    assert path.stat().st_size == 1 << 40
    assert path.stat().st_blocks < 100
    store.close()


# -- Resuming --------------------------------------------------------------------------------------


def test_only_right_pieces_of_a_part_file_are_kept(tmp_path: Path) -> None:
    data = content(6 * PIECE + 10)
    damaged = bytearray(data)
    for piece in (1, 6):
        damaged[piece * PIECE] ^= 1
    (tmp_path / f"{NAME}.part").write_bytes(damaged)
    store = part(tmp_path, info_of(data))
    assert store.held == PieceSet(7, [0, 2, 3, 4, 5])
    assert store.path == tmp_path / f"{NAME}.part"
    store.close()


@pytest.mark.parametrize("kept", [1, PIECE - 1, PIECE, 2 * PIECE + 5])
def test_a_truncated_part_file_keeps_its_complete_pieces(tmp_path: Path, kept: int) -> None:
    data = content(4 * PIECE)
    (tmp_path / f"{NAME}.part").write_bytes(data[:kept])
    store = part(tmp_path, info_of(data))
    assert store.held == PieceSet(4, range(kept // PIECE))
    assert (tmp_path / f"{NAME}.part").stat().st_size == len(data)
    store.close()


def test_a_part_file_that_is_too_long_is_truncated(tmp_path: Path) -> None:
    data = content(2 * PIECE + 1)
    (tmp_path / f"{NAME}.part").write_bytes(content(5 * PIECE, seed=2))
    store = part(tmp_path, info_of(data))
    assert len(store.held) == 0
    assert (tmp_path / f"{NAME}.part").stat().st_size == len(data)
    store.close()


def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the data of a large sparse part file is read."""
    pieces = 4_096
    data = content(PIECE)
    hashes = bytearray(20 * pieces)
    hashes[100 * 20 : 101 * 20] = info_of(data).hashes
    info = make_info(NAME, pieces * PIECE, PIECE, bytes(hashes))
    store = part(tmp_path, info)
    assert store.write_piece(100, data)
    store.close()
    if (tmp_path / f"{NAME}.part").stat().st_blocks * 512 > 10 * PIECE:
        pytest.skip("this file system keeps no holes")
    read: list[int] = []
    preadv = os.preadv

    def counted(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        count = preadv(descriptor, buffers, offset)
        read.append(count)
        return count

    monkeypatch.setattr(os, "preadv", counted)
    store = part(tmp_path, info)
    assert store.held == PieceSet(pieces, [100])
    assert sum(read) <= 4 * PIECE
    store.close()


def test_pieces_of_zeros_are_held_once_they_are_written(tmp_path: Path) -> None:
    data = bytes(3 * PIECE)
    store = part(tmp_path, info_of(data))
    for piece in range(3):
        assert store.write_piece(piece, piece_of(data, piece))
    store.close()
    store = part(tmp_path, info_of(data))
    assert store.held.is_full
    store.close()


def test_verifying_can_be_cancelled(tmp_path: Path) -> None:
    data = content(3 * PIECE)
    (tmp_path / f"{NAME}.part").write_bytes(data)
    steps = iter([False, True])
    with pytest.raises(Cancelled):
        open_part(tmp_path / NAME, info_of(data), nothing, lambda: next(steps))
    assert (tmp_path / f"{NAME}.part").read_bytes() == data


# -- Existing files --------------------------------------------------------------------------------


def test_a_complete_file_under_the_final_name_is_opened(tmp_path: Path) -> None:
    data = content(2 * PIECE + 1)
    (tmp_path / NAME).write_bytes(data)
    store = part(tmp_path, info_of(data))
    assert store.held.is_full
    assert store.path == tmp_path / NAME
    store.finish()
    store.close()
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize("there", [b"", content(100, 2), content(2 * PIECE, 2), content(2 * PIECE + 1)])
def test_different_content_is_refused_and_not_changed(tmp_path: Path, there: bytes) -> None:
    (tmp_path / NAME).write_bytes(there)
    with pytest.raises(StorageError) as caught:
        part(tmp_path, info_of(content(2 * PIECE)))
    assert caught.value.message == f"{tmp_path / NAME} already exists with different content"
    assert caught.value.hint
    assert (tmp_path / NAME).read_bytes() == there
    assert os.listdir(tmp_path) == [NAME]


def test_a_file_created_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    data = content(PIECE)
    store = part(tmp_path, info_of(data))
    store.write_piece(0, data)
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(StorageError) as caught:
        store.finish()
    store.close()
    assert caught.value.message == f"{tmp_path / NAME} has been created meanwhile; {NAME}.part is complete"
    assert (tmp_path / NAME).read_bytes() == b"mine"
    assert (tmp_path / f"{NAME}.part").read_bytes() == data


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_hard_links_a_rename_still_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """FAT and some network file systems have no hard links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    data = content(PIECE)
    store = part(tmp_path, info_of(data))
    store.write_piece(0, data)
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(StorageError, match="has been created meanwhile"):
        store.finish()
    assert (tmp_path / NAME).read_bytes() == b"mine"
    (tmp_path / NAME).unlink()
    store.finish()
    store.close()
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == data


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("directory", "{} is a directory; only single files are shared"),
        ("fifo", "{} is not a regular file"),
        ("link-loop", "{} is a symbolic link, which is not followed"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".part"])
def test_only_regular_files_are_filled(tmp_path: Path, kind: str, message: str, suffix: str) -> None:
    path = tmp_path / f"{NAME}{suffix}"
    MAKE[kind](path)
    with pytest.raises(StorageError) as caught:
        part(tmp_path, info_of(b"content"))
    assert caught.value.message == message.format(path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("target", ["victim", "nothing"])
def test_a_symbolic_link_in_place_of_a_part_is_not_followed(tmp_path: Path, target: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f"{NAME}.part").symlink_to(target)
    with pytest.raises(StorageError, match="is a symbolic link, which is not followed"):
        part(tmp_path, info_of(b"content"))
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"myfile\.txt\.part does not exist"):
        part(tmp_path / "nope", info_of(b"content"))


# -- Other processes -------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from torrentnet.peer.storage.file_store import open_part
from torrentnet.wire.info import make_info
store = open_part(Path(sys.argv[1]), make_info("myfile.txt", 100, 16384, bytes(20)), lambda *_: None, lambda: False)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_part_file_is_locked_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / NAME
    info = make_info(NAME, 100, 16_384, bytes(20))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StorageError) as caught:
            part(tmp_path, info)
        assert caught.value.message == f"another peer is downloading to {path}.part"
        assert caught.value.hint == "give each peer a directory of its own with --dir"
        # The kernel releases the lock of a killed process.
        holder.kill()
    part(tmp_path, info).close()


def test_a_shared_file_that_shrinks_leaves_the_store_usable(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(content(PIECE))
    store = open_complete(path, PIECE, nothing, never)
    os.truncate(path, 10)
    assert os.pread(store.descriptor, 100, 0) == content(PIECE)[:10]
    store.close()


# -- No space --------------------------------------------------------------------------------------

FILLER = """
import hashlib, resource, sys
from pathlib import Path
from torrentnet.peer.storage.file_store import StorageError, open_part
from torrentnet.wire.info import make_info
size, limit = 4 * 65536, 2 * 65536 + 1000
pieces = [bytes([number]) * 65536 for number in range(4)]
info = make_info("myfile.txt", size, 65536, b"".join(hashlib.sha1(piece).digest() for piece in pieces))
path = Path(sys.argv[1])
(path.parent / "myfile.txt.part").touch()
store = open_part(path, info, lambda *_: None, lambda: False)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print([store.write_piece(number, pieces[number]) for number in (0, 1)])
for _ in range(2):
    try:
        store.write_piece(2, pieces[2])
    except StorageError as error:
        print(error.message)
"""


def test_a_file_size_limit_is_a_clear_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(tmp_path / NAME)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    path = tmp_path / f"{NAME}.part"
    assert done.stdout.splitlines() == ["[True, True]", *[f"{path}: file too large"] * 2]
    # Pieces verified before are kept.
    assert path.read_bytes()[: 2 * 65_536] == bytes(65_536) + b"\x01" * 65_536


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_file_system_has_a_hint(tmp_path: Path) -> None:
    data = content(100)
    store = FileStore(tmp_path / "a.part", tmp_path / "a", os.open("/dev/full", os.O_RDWR), info_of(data), PieceSet(1))
    with pytest.raises(StorageError) as caught:
        store.write_piece(0, data)
    store.close()
    assert caught.value.message == f"no space left for {tmp_path / 'a.part'}"
    assert caught.value.hint == "free some space and restart; verified pieces are kept"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "cannot open /x/y: permission denied"),
        (errno.EROFS, "cannot open /x/y: read-only file system"),
        (errno.ENOSPC, "no space left for /x/y"),
        (errno.EDQUOT, "no space left for /x/y"),
        (errno.ENOENT, "/x/y does not exist"),
        (errno.EIO, "/x/y: input/output error"),
    ],
)
def test_each_errno_has_a_message(number: int, message: str) -> None:
    assert storage_error(OSError(number, os.strerror(number)), Path("/x/y")).message == message


def test_pieces_can_be_written_while_others_are_read(tmp_path: Path) -> None:
    """The thread that writes and the loop that serves do not share a file position."""
    data = content(64 * PIECE)
    store = part(tmp_path, info_of(data))
    writer = threading.Thread(
        target=lambda: [store.write_piece(piece, piece_of(data, piece)) for piece in range(1, 64)]
    )
    assert store.write_piece(0, piece_of(data, 0))
    writer.start()
    while writer.is_alive():
        assert os.pread(store.descriptor, PIECE, 0) == piece_of(data, 0)
    writer.join()
    store.close()
    assert (tmp_path / f"{NAME}.part").read_bytes() == data


def test_the_limit_of_open_files_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"content")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StorageError, match="too many open files"):
            open_complete(tmp_path / NAME, PIECE, nothing, never)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
