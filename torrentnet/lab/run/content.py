"""The files that a lab makes before its nodes start.

Content comes from the scenario's seed and the file's name alone: the same scenario has the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from torrentnet.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.lab.scenario.plan import FilePlan

CHUNK_SIZE = 1024 * 1024


def make_files(files: tuple[FilePlan, ...], seed: int, directory: Path) -> dict[str, str]:
    """Make every file in ``directory``; answers with each one's SHA-256 in hexadecimal.

    Readable by everyone: the nodes' user is none of this machine's. Raises LabError where one cannot be made.
    """
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    return {file.name: _make_file(file, seed, directory / file.name) for file in files}


def _make_file(file: FilePlan, seed: int, path: Path) -> str:
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        with path.open("wb") as out:
            for chunk in (
                _file_chunks(file.source) if file.source else _random_chunks(file.size or 0, f"{seed}/{file.name}")
            ):
                digest.update(chunk)
                out.write(chunk)
        path.chmod(0o644)
    except OSError as error:
        raise LabError(f"the file {file.name} cannot be made: {error.strerror}: {error.filename}") from error
    return digest.hexdigest()


def _random_chunks(size: int, seed: str) -> Iterator[bytes]:
    generator = random.Random(seed)
    while size > 0:
        yield generator.randbytes(min(CHUNK_SIZE, size))
        size -= CHUNK_SIZE


def _file_chunks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            yield chunk
