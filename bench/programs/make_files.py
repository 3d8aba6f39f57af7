"""A file of random bytes under several names, each with a .torrent.

Usage: ``make_files.py DIRECTORY BYTES TRACKER NAME...``.

The names are hard links to one file. The swarms of the programs are different because the names, and so the
info-hashes, are different. Runs in a container of the nodes' image, which contains the torrentnet package.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from torrentnet.wire.info import choose_piece_length, make_info
from torrentnet.wire.metainfo import torrent_file


def main() -> None:
    """Write the file, its .torrent files and its hashes; print the piece length.

    A file ``<name>.torrent`` is written for each name. The file ``hashes`` contains 20 bytes for each piece.
    """
    directory, length, tracker, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    directory.mkdir(parents=True)
    piece_length = choose_piece_length(length)
    hashes = bytearray()
    with (directory / names[0]).open("wb", buffering=0) as file:
        while (left := length - file.tell()) > 0:
            piece = os.urandom(min(piece_length, left))
            hashes += hashlib.sha1(piece, usedforsecurity=False).digest()
            file.write(piece)
    (directory / "hashes").write_bytes(hashes)
    for name in names:
        if name != names[0]:
            os.link(directory / names[0], directory / name)
        info = make_info(name, length, piece_length, bytes(hashes))
        (directory / f"{name}.torrent").write_bytes(torrent_file(info, tracker))
    print(piece_length, flush=True)


main()
