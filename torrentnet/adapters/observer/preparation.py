"""Copies of what the program needs into the node's directory.

The copies are made by a process of the program's own user: whatever links an earlier run of the program has left, they
lead nowhere that the program could not write to itself. What exists is kept.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.torrent import node_torrent
from torrentnet.wire.metainfo import parse_torrent

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.wire.endpoint import Endpoint

PART: Final = ".observer-part"
"""Ending of a copy that is not complete."""


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory's regular files and folders; existing files are kept.

    Links and special files are left out. Raises OSError.
    """
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    target.mkdir(exist_ok=True)
    for entry in found:
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            copy_tree(source / entry.name, target / entry.name)
        elif stat.S_ISREG(mode):
            copy_file(source / entry.name, target / entry.name, executable=bool(mode & 0o111))


def copy_file(source: Path, target: Path, *, executable: bool = False) -> None:
    """Copy a file unless the target exists. Raises OSError."""
    if target.exists() or target.is_symlink():
        return
    part = target.with_name(target.name + PART)
    part.unlink(missing_ok=True)
    shutil.copyfile(source, part, follow_symlinks=False)
    part.chmod(0o755 if executable else 0o644)
    part.rename(target)


def write_torrent(source: Path, folder: Path, tracker: Endpoint, name: str) -> None:
    """Write a .torrent with the tracker's address into a folder, unless it is there.

    Raises OSError, or MetainfoError where the source is no .torrent.
    """
    target = folder / source.name
    if not target.exists() and not target.is_symlink():
        target.write_bytes(node_torrent(parse_torrent(source.read_bytes()), tracker, name))
