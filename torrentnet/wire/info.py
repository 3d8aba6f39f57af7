"""The info dictionary of a file (BEP 3).

It holds the file's name, its length, and the SHA-1 of each of its pieces.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from torrentnet.wire import bencode
from torrentnet.wire.errors import BencodeError, InvalidNameError, MetainfoError
from torrentnet.wire.names import decode_file_name

HASH_SIZE: Final = 20
MIN_PIECE_LENGTH: Final = 16 * 1024
"""One block of BEP 3: a smaller piece would only add headers."""
MAX_PIECE_LENGTH: Final = 64 * 1024 * 1024
"""A piece is held in memory until it is verified."""
DEFAULT_PIECE_LENGTH: Final = 256 * 1024
MAX_PIECES: Final = 1 << 20
MAX_FILE_SIZE: Final = 1 << 62
MAX_INFO_SIZE: Final = 24 * 1024 * 1024
"""Bytes of the largest info dictionary that is downloaded (BEP 9 sets no limit): 2**20 pieces and some."""
_EASY_PIECES: Final = 8_192
"""Pieces whose possession fits comfortably into one datagram."""


@dataclass(frozen=True, slots=True)
class Info:
    """One file, as its info dictionary describes it."""

    name: str
    length: int
    """Bytes."""
    piece_length: int
    """Bytes of every piece but the last."""
    hashes: bytes
    """SHA-1 of each piece, 20 bytes each, in order."""
    raw: bytes
    """The bencoded dictionary exactly as it is hashed."""

    @property
    def info_hash(self) -> bytes:
        """SHA-1 of the bencoded dictionary (20 bytes): what the swarm is known by."""
        return hashlib.sha1(self.raw, usedforsecurity=False).digest()

    @property
    def pieces(self) -> int:
        """Number of pieces; 0 for an empty file."""
        return len(self.hashes) // HASH_SIZE

    def piece_size(self, piece: int) -> int:
        """Return the bytes of piece number ``piece``: the last piece may be short."""
        return min(self.piece_length, self.length - piece * self.piece_length)

    def piece_hash(self, piece: int) -> bytes:
        """Return the SHA-1 (20 bytes) of piece number ``piece``."""
        return self.hashes[piece * HASH_SIZE : (piece + 1) * HASH_SIZE]


def piece_count(length: int, piece_length: int) -> int:
    """Return the number of pieces in a file of ``length`` bytes.

    Each piece but the last has ``piece_length`` bytes.
    """
    return -(-length // piece_length)


def choose_piece_length(length: int) -> int:
    """Return a piece length (bytes, a power of two) for a file of ``length`` bytes.

    It is 256 KiB, so that a small file still has enough pieces to share, and is doubled until the possession of all
    pieces fits comfortably into one datagram.
    """
    size = DEFAULT_PIECE_LENGTH
    while piece_count(length, size) > _EASY_PIECES and size < MAX_PIECE_LENGTH:
        size *= 2
    return size


def make_info(name: str, length: int, piece_length: int, hashes: bytes, *, private: bool = True) -> Info:
    """Return the info dictionary of a file that is on disk.

    ``private`` sets BEP 27's mark: the peers of a lab come from its tracker and from nowhere else. Leave it out where
    other people's clients take part: Transmission and libtorrent send a private file's info dictionary to nobody.
    """
    value: dict[bytes, bencode.Value] = {
        b"length": length,
        b"name": name.encode("utf-8"),
        b"piece length": piece_length,
        b"pieces": hashes,
    }
    if private:
        value[b"private"] = 1
    return Info(name, length, piece_length, hashes, bencode.encode(value))


def parse_info(raw: bytes) -> Info:
    """Parse a bencoded info dictionary from the network.

    Raises :class:`MetainfoError`. Only single files are accepted. The caller compares :attr:`Info.info_hash` with the
    hash that it asked for.
    """
    if len(raw) > MAX_INFO_SIZE:
        raise MetainfoError(f"info dictionary of {len(raw)} bytes, at most {MAX_INFO_SIZE} are allowed")
    try:
        value = bencode.decode(raw)
    except BencodeError as error:
        raise MetainfoError(f"info dictionary: {error.message}") from None
    if not isinstance(value, dict):
        raise MetainfoError("info dictionary is not a dictionary")
    if b"pieces" not in value and value.get(b"meta version") == 2:
        raise MetainfoError("info dictionary of BitTorrent v2 only; write the file as v1 or as a hybrid of both")
    if b"files" in value:
        raise MetainfoError("info dictionary has several files, only single files are supported")
    raw_name = value.get(b"name")
    if not isinstance(raw_name, bytes):
        raise MetainfoError("info dictionary has no name")
    try:
        name = decode_file_name(raw_name)
    except InvalidNameError as error:
        raise MetainfoError(f"info dictionary: {error.message}") from None
    length = _number(value, b"length", 0, MAX_FILE_SIZE)
    piece_length = _number(value, b"piece length", 1, MAX_FILE_SIZE)
    if piece_length > MAX_PIECE_LENGTH:
        most = f"{MAX_PIECE_LENGTH} ({MAX_PIECE_LENGTH >> 20} MiB) are allowed"
        raise MetainfoError(f"info dictionary: pieces of {piece_length} bytes, at most {most}")
    hashes = value.get(b"pieces")
    if not isinstance(hashes, bytes):
        raise MetainfoError("info dictionary has no piece hashes")
    wanted = piece_count(length, piece_length)
    if wanted > MAX_PIECES:
        raise MetainfoError(f"{wanted} pieces, at most {MAX_PIECES} are allowed")
    if len(hashes) != wanted * HASH_SIZE:
        raise MetainfoError(f"{len(hashes)} bytes of piece hashes in place of {wanted * HASH_SIZE}")
    return Info(name, length, piece_length, hashes, raw)


def _number(value: dict[bytes, bencode.Value], key: bytes, least: int, most: int) -> int:
    number = value.get(key)
    if not isinstance(number, int):
        raise MetainfoError(f"info dictionary has no {key.decode()!r}")
    if not least <= number <= most:
        raise MetainfoError(f"info dictionary: {key.decode()!r} is {number}")
    return number
