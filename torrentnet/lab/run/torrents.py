"""The .torrents that a lab makes, beside its files.

They name no tracker: its address is not known yet, and each program is told of it by its command line.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from torrentnet.lab.errors import LabError
from torrentnet.wire.info import choose_piece_length, make_info
from torrentnet.wire.metainfo import torrent_with_url

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan import TorrentPlan

TORRENTS_FOLDER = ".torrents"
"""In the lab's directory of files."""


def torrent_path(file: str) -> str:
    """Where a file's .torrent is, relative to the directory of files."""
    return f"{TORRENTS_FOLDER}/{file}.torrent"


def make_torrents(torrents: tuple[TorrentPlan, ...], directory: Path) -> None:
    """Make every .torrent from the files that are in ``directory`` already. Raises LabError where that fails."""
    for torrent in torrents:
        source = directory / torrent.file
        target = directory / torrent_path(torrent.file)
        try:
            length = source.stat().st_size
            piece_length = torrent.piece_length or choose_piece_length(length)
            hashes = bytearray()
            with source.open("rb") as file:
                while piece := file.read(piece_length):
                    hashes += hashlib.sha1(piece, usedforsecurity=False).digest()
            info = make_info(source.name, length, piece_length, bytes(hashes), private=torrent.private)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(torrent_with_url(info, None))
            for made, mode in ((target, 0o644), (target.parent, 0o755), (directory / TORRENTS_FOLDER, 0o755)):
                made.chmod(mode)
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}"
            raise LabError(f"the .torrent of {torrent.file} cannot be made: {reason}") from error
