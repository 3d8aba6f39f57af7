"""Verify a file on disk against its info dictionary, independently of what the client reports."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.wire.info import Info


@dataclass(frozen=True, slots=True)
class FileVerification:
    """The result of verifying a file."""

    sha256: str
    """Hexadecimal digest of the file; empty if the verification failed."""
    problem: str = ""
    """Why the verification failed; empty if it succeeded."""


def verify_file(path: Path, info: Info) -> FileVerification:
    """Read the file once; check each piece's SHA-1 and compute the file's SHA-256."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            for piece in range(info.pieces):
                data = file.read(info.piece_size(piece))
                if hashlib.sha1(data, usedforsecurity=False).digest() != info.piece_hash(piece):
                    return FileVerification("", f"piece {piece} of {path} has the wrong SHA-1")
                digest.update(data)
            if file.read(1):
                return FileVerification("", f"{path} is longer than its .torrent says")
    except OSError as error:
        return FileVerification("", f"{path}: {os_error_text(error)}")
    return FileVerification(digest.hexdigest())
