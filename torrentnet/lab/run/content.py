"""The files and .torrents that a lab creates before its nodes start.

A file's content follows from the scenario's seed and the file's name alone: the same scenario has the same bytes on
every machine. A .torrent names no tracker, because its address is not known yet: it is on each program's command line.
"""

from __future__ import annotations

import hashlib
import os
import random
import string
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.command_lines import TORRENTS_FOLDER, torrent_path
from torrentnet.lab.engines.observer_command import FileFacts
from torrentnet.lab.errors import LabError
from torrentnet.wire.info import choose_piece_length, make_info
from torrentnet.wire.metainfo import torrent_with_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torrentnet.lab.scenario.plan.plan import FilePlan, TorrentPlan

CHUNK_SIZE: Final = 1024 * 1024


def make_files(files: tuple[FilePlan, ...], seed: int, directory: Path) -> dict[str, str]:
    """Create the files in ``directory``, and return the SHA-256 of each in hex.

    The files are readable by everyone, because the nodes' user does not exist on this machine. Raises LabError where a
    file cannot be created.
    """
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    return {file.name: _make_file(file, seed, directory / _on_disk(file.name)) for file in files}


def file_facts(files: tuple[FilePlan, ...], hashes: Mapping[str, str], directory: Path) -> dict[str, FileFacts]:
    """Return what recognises each file that :func:`make_files` has created."""
    return {
        file.name: FileFacts(
            file.name.rpartition("/")[2], (directory / _on_disk(file.name)).stat().st_size, hashes[file.name]
        )
        for file in files
    }


def make_torrents(torrents: tuple[TorrentPlan, ...], directory: Path) -> None:
    """Create the .torrents of files in ``directory``.

    Raises LabError where one cannot be created.
    """
    for torrent in torrents:
        source = directory / _on_disk(torrent.file)
        target = directory / _on_disk(torrent_path(torrent.file))
        try:
            length = source.stat().st_size
            piece_length = torrent.piece_length or choose_piece_length(length)
            hashes = bytearray()
            for piece in _file_chunks(source, piece_length):
                hashes += hashlib.sha1(piece, usedforsecurity=False).digest()
            info = make_info(
                torrent.file.rpartition("/")[2], length, piece_length, bytes(hashes), private=torrent.private
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(torrent_with_url(info, None))
            for path, mode in ((target, 0o644), (target.parent, 0o755), (directory / TORRENTS_FOLDER, 0o755)):
                path.chmod(mode)
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}"
            raise LabError(f"the .torrent of {torrent.file} cannot be created: {reason}") from error


def _on_disk(name: str) -> str:
    """Return a file's name for this machine, so that its bytes are UTF-8.

    The nodes have a locale of their own.
    """
    return os.fsdecode(name.encode())


def _make_file(file: FilePlan, seed: int, path: Path) -> str:
    digest = hashlib.sha256()
    content = file.content
    if isinstance(content, int):
        make = _random_lines if file.text else _random_chunks
        chunks = make(content, f"{seed}/{file.name}")
    else:
        chunks = _file_chunks(content)
    try:
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        with path.open("wb") as out:
            for chunk in chunks:
                digest.update(chunk)
                out.write(chunk)
        path.chmod(0o644)
    except OSError as error:
        raise LabError(f"the file {file.name} cannot be created: {error.strerror}: {error.filename}") from error
    return digest.hexdigest()


def _random_chunks(size: int, seed: str) -> Iterator[bytes]:
    generator = random.Random(seed)
    while size > 0:
        yield generator.randbytes(min(CHUNK_SIZE, size))
        size -= CHUNK_SIZE


def _random_lines(size: int, seed: str) -> Iterator[bytes]:
    """Yield lines of words; the last line is cut where the size ends."""
    generator = random.Random(seed)
    while size > 0:
        words = ("".join(generator.choices(string.ascii_lowercase, k=generator.randint(2, 9))) for _ in range(10))
        line = f"{' '.join(words)}\n".encode()[:size]
        yield line
        size -= len(line)


def _file_chunks(source: Path, size: int = CHUNK_SIZE) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(size):
            yield chunk
