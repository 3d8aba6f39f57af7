"""Verify a file on disk, whatever its client reports."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from torrentnet.adapters.adapter import AdapterError
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.wire.info import Info


class VerificationError(AdapterError):
    """The file is not the one that its info dictionary describes."""


def verify_file(path: Path, info: Info) -> str:
    """Check the SHA-1 of each piece of a file; return the file's SHA-256 in hexadecimal digits.

    Raises :class:`VerificationError`, also if the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            for piece in range(info.pieces):
                data = file.read(info.piece_size(piece))
                if hashlib.sha1(data, usedforsecurity=False).digest() != info.piece_hash(piece):
                    raise VerificationError(f"piece {piece} of {path} has the wrong SHA-1")
                digest.update(data)
            if file.read(1):
                raise VerificationError(f"{path} is longer than its .torrent says")
    except OSError as error:
        raise VerificationError(f"{path}: {os_error_text(error)}") from None
    return digest.hexdigest()
