"""A file is verified on disk, whatever its client reports."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from torrentnet.adapters.verification import VerificationError, verify_file
from torrentnet.wire.info import Info, make_info

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 16 * 1024
DATA = bytes(range(256)) * 200


def info_of(data: bytes) -> Info:
    hashes = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
    return make_info("a.bin", len(data), PIECE, hashes)


def test_a_matching_file_is_verified(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(DATA)
    assert verify_file(tmp_path / "a.bin", info_of(DATA)) == hashlib.sha256(DATA).hexdigest()


def test_an_empty_file_is_verified(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"")
    assert verify_file(tmp_path / "a.bin", info_of(b"")) == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (DATA[:20_000] + b"x" + DATA[20_001:], "piece 1 of {path} has the wrong SHA-1"),
        (DATA[:-1], "piece 3 of {path} has the wrong SHA-1"),
        (b"", "piece 0 of {path} has the wrong SHA-1"),
        (DATA + b"x", "{path} is longer than its .torrent says"),
        (None, "{path}: no such file or directory"),
    ],
    ids=["a-byte-changed", "too-short", "empty", "too-long", "missing"],
)
def test_another_file_is_rejected_with_a_reason(tmp_path: Path, data: bytes | None, problem: str) -> None:
    path = tmp_path / "a.bin"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(VerificationError) as caught:
        verify_file(path, info_of(DATA))
    assert caught.value.message == problem.format(path=path)
