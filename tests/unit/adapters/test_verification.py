"""A client's word is not believed: the file on disk is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from torrentnet.adapters.verification import verify_file
from torrentnet.wire.info import Info, make_info

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 16 * 1024
DATA = bytes(range(256)) * 200


def info_of(data: bytes) -> Info:
    hashes = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
    return make_info("a.bin", len(data), PIECE, hashes)


def test_the_right_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(DATA)
    found = verify_file(tmp_path / "a.bin", info_of(DATA))
    assert (found.sha256, found.problem) == (hashlib.sha256(DATA).hexdigest(), "")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"")
    assert verify_file(tmp_path / "a.bin", info_of(b"")).sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (DATA[:20_000] + b"x" + DATA[20_001:], "piece 1 of {path} is wrong"),
        (DATA[:-1], "piece 3 of {path} is wrong"),
        (b"", "piece 0 of {path} is wrong"),
        (DATA + b"x", "{path} is longer than the file that was asked for"),
        (None, "{path}: no such file or directory"),
    ],
    ids=["a-byte-changed", "too-short", "empty", "too-long", "missing"],
)
def test_another_file(tmp_path: Path, data: bytes | None, wrong: str) -> None:
    path = tmp_path / "a.bin"
    if data is not None:
        path.write_bytes(data)
    found = verify_file(path, info_of(DATA))
    assert (found.sha256, found.problem) == ("", wrong.format(path=path))
