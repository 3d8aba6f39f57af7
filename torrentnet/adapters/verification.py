"""Whether a file on disk is the one that the info dictionary describes: read and hashed, whatever the client says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.wire.info import Info


@dataclass(frozen=True, slots=True)
class FileVerification:
    """What is on disk."""

    sha256: str
    """Of the whole file, in hexadecimal; empty where something is wrong with it."""
    problem: str = ""
    """What is wrong, for a person."""


def verify_file(path: Path, info: Info) -> FileVerification:
    """Read the file once: the SHA-1 of each piece is compared, the SHA-256 of all is told."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            for piece in range(info.pieces):
                data = file.read(info.piece_size(piece))
                if hashlib.sha1(data, usedforsecurity=False).digest() != info.piece_hash(piece):
                    return FileVerification("", f"piece {piece} of {path} is wrong")
                digest.update(data)
            if file.read(1):
                return FileVerification("", f"{path} is longer than the file that was asked for")
    except OSError as error:
        return FileVerification("", f"{path}: {(error.strerror or str(error)).lower()}")
    return FileVerification(digest.hexdigest())
