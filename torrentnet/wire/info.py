"""The info dictionary: what a file is called, how long it is, and the SHA-1 of each of its pieces (BEP 3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torrentnet.wire import bencode
from torrentnet.wire.errors import BencodeError, InvalidNameError, MetainfoError
from torrentnet.wire.names import decode_file_name

HASH_SIZE = 20
MIN_PIECE_LENGTH = 16 * 1024
"""One block of BEP 3: a smaller piece would only add headers."""
MAX_PIECE_LENGTH = 64 * 1024 * 1024
"""A piece is held in memory until it is verified."""
DEFAULT_PIECE_LENGTH = 256 * 1024
MAX_PIECES = 1 << 20
MAX_INFO_SIZE = 24 * 1024 * 1024
"""Bytes of an info dictionary that we are willing to fetch (BEP 9 sets no limit): 2**20 pieces and some."""
_EASY_PIECES = 8_192


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
        """SHA-1 of the bencoded dictionary: the name that the swarm goes by (20 bytes)."""
        return hashlib.sha1(self.raw, usedforsecurity=False).digest()

    @property
    def pieces(self) -> int:
        """How many pieces there are; 0 for an empty file."""
        return len(self.hashes) // HASH_SIZE

    def piece_size(self, piece: int) -> int:
        """Bytes of piece number ``piece``: the last one may be short."""
        return min(self.piece_length, self.length - piece * self.piece_length)

    def piece_hash(self, piece: int) -> bytes:
        """SHA-1 (20 bytes) that piece number ``piece`` must have."""
        return self.hashes[piece * HASH_SIZE : (piece + 1) * HASH_SIZE]


def piece_count(length: int, piece_length: int) -> int:
    """How many pieces of ``piece_length`` bytes a file of ``length`` bytes has."""
    return -(-length // piece_length)


def choose_piece_length(length: int) -> int:
    """A piece length (bytes, a power of two) for a file of ``length`` bytes.

    256 KiB, so that a small file still has enough pieces to share; doubled while the possession of all pieces
    would not fit comfortably into one datagram.
    """
    size = DEFAULT_PIECE_LENGTH
    while piece_count(length, size) > _EASY_PIECES and size < MAX_PIECE_LENGTH:
        size *= 2
    return size


def make_info(name: str, length: int, piece_length: int, hashes: bytes, *, private: bool = True) -> Info:
    """The info dictionary of a file that we have.

    ``private`` (BEP 27) is set: the peers of a lab come from its tracker and from nowhere else. Not where other
    people's clients take part: Transmission and libtorrent give a private file's info dictionary to nobody.
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
    """Read a bencoded info dictionary that came from the network. Raises :class:`MetainfoError`.

    Takes single files only. Whether it is the dictionary that was asked for is the caller's comparison of
    :attr:`Info.info_hash`.
    """
    if len(raw) > MAX_INFO_SIZE:
        raise MetainfoError(f"info dictionary of {len(raw)} bytes, at most {MAX_INFO_SIZE} are taken")
    try:
        value = bencode.decode(raw)
    except BencodeError as error:
        raise MetainfoError(f"info dictionary: {error.message}") from None
    if not isinstance(value, dict):
        raise MetainfoError("info dictionary is no dictionary")
    if b"files" in value:
        raise MetainfoError("info dictionary has several files, only single files are shared here")
    raw_name = value.get(b"name")
    if not isinstance(raw_name, bytes):
        raise MetainfoError("info dictionary has no name")
    try:
        name = decode_file_name(raw_name)
    except InvalidNameError as error:
        raise MetainfoError(f"info dictionary: {error.message}") from None
    length = _number(value, b"length", 0, 1 << 62)
    piece_length = _number(value, b"piece length", 1, MAX_PIECE_LENGTH)
    hashes = value.get(b"pieces")
    if not isinstance(hashes, bytes):
        raise MetainfoError("info dictionary has no piece hashes")
    wanted = piece_count(length, piece_length)
    if wanted > MAX_PIECES:
        raise MetainfoError(f"{wanted} pieces, at most {MAX_PIECES} are taken")
    if len(hashes) != wanted * HASH_SIZE:
        raise MetainfoError(f"{len(hashes)} bytes of piece hashes where {wanted * HASH_SIZE} belong")
    return Info(name, length, piece_length, hashes, raw)


def _number(value: dict[bytes, bencode.Value], key: bytes, least: int, most: int) -> int:
    number = value.get(key)
    if not isinstance(number, int):
        raise MetainfoError(f"info dictionary has no {key.decode()!r}")
    if not least <= number <= most:
        raise MetainfoError(f"info dictionary: {key.decode()!r} is {number}")
    return number
