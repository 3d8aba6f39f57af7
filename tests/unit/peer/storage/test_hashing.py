"""Several threads hash a file; an error in any of them is raised in the caller's."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from typing import TYPE_CHECKING

import pytest

from torrentnet.peer.storage.hashing import CHUNK, Cancelled, hash_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 16 * 1024
DATA = random.Random(5).randbytes(40 * PIECE + 123)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(DATA)
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


def sha1s(piece_length: int) -> bytes:
    parts = (DATA[at : at + piece_length] for at in range(0, len(DATA), piece_length))
    return b"".join(hashlib.sha1(part, usedforsecurity=False).digest() for part in parts)


@pytest.mark.parametrize("threads", [1, 2, 5, 64])
@pytest.mark.parametrize("piece_length", [PIECE, CHUNK, 2 * CHUNK + 1])
def test_any_number_of_threads_gives_the_same_hashes(descriptor: int, threads: int, piece_length: int) -> None:
    reports: list[tuple[int, int]] = []
    callers: set[int] = set()

    def progress(done: int, size: int) -> None:
        reports.append((done, size))
        callers.add(threading.get_ident())

    hashes = hash_pieces(descriptor, len(DATA), piece_length, progress, lambda: False, threads=threads)
    assert hashes == sha1s(piece_length)
    assert callers <= {threading.get_ident()}
    assert reports == sorted(reports)
    assert all(0 < done <= size == len(DATA) for done, size in reports)
    assert threads > 1 or reports[-1] == (len(DATA), len(DATA))


@pytest.mark.parametrize("threads", [1, 4])
def test_hashing_stops_when_it_is_cancelled(descriptor: int, threads: int) -> None:
    calls = 0

    def cancelled() -> bool:
        nonlocal calls
        calls += 1
        return calls > 3

    with pytest.raises(Cancelled):
        hash_pieces(descriptor, len(DATA), PIECE, lambda done, size: None, cancelled, threads=threads)
    assert calls < 3 + 2 * threads


def test_an_error_in_a_helper_is_raised_in_the_caller(descriptor: int) -> None:
    caller = threading.get_ident()
    helper_started = threading.Event()

    def skip(offset: int, size: int) -> bool:
        if threading.get_ident() != caller:
            helper_started.set()
            raise OSError(5, "a bad sector")
        helper_started.wait(10)
        return False

    with pytest.raises(OSError, match="a bad sector"):
        hash_pieces(descriptor, len(DATA), PIECE, lambda done, size: None, lambda: False, skip=skip, threads=2)


def test_skipped_and_missing_pieces_hash_to_zeros(descriptor: int) -> None:
    hashes = hash_pieces(
        descriptor,
        len(DATA) + 2 * PIECE,
        PIECE,
        lambda done, size: None,
        lambda: False,
        skip=lambda offset, size: offset == PIECE,
        threads=2,
    )
    assert hashes[20:40] == bytes(20)
    assert hashes[40 : 20 * 40] == sha1s(PIECE)[40 : 20 * 40]
    assert hashes[20 * 40 :] == bytes(20 * 3)
