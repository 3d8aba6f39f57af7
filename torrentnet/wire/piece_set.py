"""Sets of piece numbers, such as the pieces that a peer holds.

They are converted to the forms that packets and people need.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from torrentnet.wire.errors import PacketError, PeerProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_WINDOW: Final = 11_000
"""Pieces in one possession report: their raw bitfield (1,375 bytes) fits behind the header."""
MAX_DESCRIPTION: Final = 1_000
"""Characters of a description's list of pieces: a set may have half a million runs."""

RAW: Final = 0
RANGES: Final = 1
_SEARCHED: Final = 1 << 15
"""Pieces that are searched for runs at once."""
_RANGE: Final = struct.Struct(">II")


class PieceSet:
    """Set of the pieces held of a file with ``size`` pieces.

    It is kept as a bitfield (BEP 3: the first byte's high bit is piece 0).
    """

    __slots__ = ("_bits", "_held", "size")

    def __init__(self, size: int, held: Iterable[int] = ()) -> None:
        self.size = size
        self._bits = bytearray((size + 7) // 8)
        self._held = 0
        for piece in held:
            self.add(piece)

    @classmethod
    def full(cls, size: int) -> PieceSet:
        """Return a set that holds all of ``size`` pieces."""
        made = cls(size)
        made.set_range(0, size)
        return made

    @classmethod
    def from_bitfield(cls, size: int, raw: bytes | memoryview) -> PieceSet:
        """Parse a peer's bitfield.

        Raises :class:`PeerProtocolError` for a wrong length or a spare bit that is set.
        """
        made = cls(size)
        if len(raw) != len(made._bits):
            raise PeerProtocolError(f"bitfield of {len(raw)} bytes in place of {len(made._bits)}")
        made._bits[:] = raw
        if size % 8 and made._bits[-1] & (0xFF >> size % 8):
            raise PeerProtocolError("bitfield has a spare bit set")
        made._held = int.from_bytes(made._bits, "big").bit_count()
        return made

    def __len__(self) -> int:
        return self._held

    def __contains__(self, piece: int) -> bool:
        return 0 <= piece < self.size and bool(self._bits[piece >> 3] & (0x80 >> (piece & 7)))

    def __iter__(self) -> Iterator[int]:
        for first, count in self.ranges():
            yield from range(first, first + count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PieceSet) and self.size == other.size and self._bits == other._bits

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PieceSet({self.size}, {self.describe()})"

    @property
    def is_full(self) -> bool:
        """Whether every piece is held; always true of an empty file."""
        return self._held == self.size

    def add(self, piece: int) -> None:
        """Add ``piece``. Raises :class:`IndexError` for a piece that does not exist."""
        if not 0 <= piece < self.size:
            raise IndexError(f"piece {piece} of {self.size}")
        mask = 0x80 >> (piece & 7)
        if not self._bits[piece >> 3] & mask:
            self._bits[piece >> 3] |= mask
            self._held += 1

    def discard(self, piece: int) -> None:
        """Remove ``piece``, if it is held."""
        if piece in self:
            self._bits[piece >> 3] ^= 0x80 >> (piece & 7)
            self._held -= 1

    def set_range(self, first: int, count: int) -> None:
        """Add ``count`` pieces from ``first`` on.

        Raises :class:`IndexError`, and adds none, if one of them does not exist.
        """
        if first < 0 or count < 0 or first + count > self.size:
            raise IndexError(f"pieces {first}+{count} of {self.size}")
        # Whole bytes at once: a file may have a million pieces, and a datagram may report all of them.
        head = min(count, -first % 8)
        whole = (count - head) // 8
        for piece in (*range(first, first + head), *range(first + head + whole * 8, first + count)):
            self.add(piece)
        inner = slice((first + head) // 8, (first + head) // 8 + whole)
        self._held += whole * 8 - int.from_bytes(self._bits[inner], "big").bit_count()
        self._bits[inner] = b"\xff" * whole

    def window(self, first: int, count: int) -> PieceSet:
        """Return the ``count`` pieces from ``first`` on, numbered from 0, as a set."""
        made = PieceSet(count)
        inside = slice(first >> 3, (first + count + 7) >> 3)
        bits = int.from_bytes(self._bits[inside], "big") << (first & 7)
        # As many bits of whole bytes as were read, without those before the window, and then without those behind it.
        read = 8 * (inside.stop - inside.start)
        bits = (bits & ((1 << read) - 1)) >> (read - count) << (-count % 8)
        made._bits[:] = bits.to_bytes(len(made._bits), "big")
        made._held = bits.bit_count()
        return made

    def replace_window(self, first: int, window: PieceSet) -> bool:
        """Replace the pieces from ``first`` on by those of ``window``.

        Return whether that changed any. Piece 0 of ``window`` is piece ``first`` of this set.
        """
        # One number for the whole window: a datagram reports 11,000 pieces, and many datagrams may.
        end = first + window.size
        inside = slice(first >> 3, (end + 7) >> 3)
        before = int.from_bytes(self._bits[inside], "big")
        behind = -end % 8
        mask = ((1 << window.size) - 1) << behind
        bits = int.from_bytes(window._bits, "big") >> (-window.size % 8) << behind
        if before & mask == bits:
            return False
        self._held += window._held - (before & mask).bit_count()
        self._bits[inside] = (before & ~mask | bits).to_bytes(inside.stop - inside.start, "big")
        return True

    def has_piece_beyond(self, *others: PieceSet) -> bool:
        """Whether this set has a piece that none of ``others`` (of the same size) has."""
        theirs = 0
        for other in others:
            theirs |= int.from_bytes(other._bits, "big")
        return int.from_bytes(self._bits, "big") & ~theirs != 0

    def union_size(self, other: PieceSet) -> int:
        """Return the number of pieces in this set or in ``other`` (of the same size)."""
        return (int.from_bytes(self._bits, "big") | int.from_bytes(other._bits, "big")).bit_count()

    def missing(self) -> Iterator[int]:
        """Yield the pieces that are not held, in order."""
        for first, count in self._runs("0", "1"):
            yield from range(first, first + count)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield runs of held pieces as (first, count), in order."""
        return self._runs("1", "0")

    def _runs(self, wanted: str, other: str) -> Iterator[tuple[int, int]]:
        # Searched as text, at the speed of C, some pieces at a time: a file may have a million pieces.
        start = -1
        for base in range(0, self.size, _SEARCHED):
            raw = self._bits[base >> 3 : (base + _SEARCHED) >> 3]
            digits = f"{int.from_bytes(raw, 'big'):0{8 * len(raw)}b}"[: self.size - base]
            at = 0
            while True:
                if start < 0:
                    at = digits.find(wanted, at)
                    if at < 0:
                        break
                    start = base + at
                end = digits.find(other, at)
                if end < 0:
                    break
                yield start, base + end - start
                start, at = -1, end
        if start >= 0:
            yield start, self.size - start

    def bitfield(self) -> bytes:
        """Return the bitfield of BEP 3: ``ceil(size / 8)`` bytes, spare bits zero."""
        return bytes(self._bits)

    def describe(self) -> str:
        """Return the set as text: ``all 32``, ``none of 32``, ``0-4, 9 (6 of 32)``.

        A long text is cut: ``0-4, 9, ... (600 of 11000)``.
        """
        if self.is_full:
            return f"all {self.size}"
        if not self._held:
            return f"none of {self.size}"
        runs: list[str] = []
        room = MAX_DESCRIPTION
        for first, count in self.ranges():
            run = str(first) if count == 1 else f"{first}-{first + count - 1}"
            room -= len(run) + 2
            if room < 0:
                runs.append("...")
                break
            runs.append(run)
        return f"{', '.join(runs)} ({self._held} of {self.size})"


def encode_window(pieces: PieceSet, first: int, count: int) -> tuple[int, bytes]:
    """Encode ``count`` pieces from ``first`` on in the smaller of two encodings.

    Return the encoding, RAW or RANGES, and the bytes. RAW is a bitfield that begins with piece ``first``; RANGES is
    (u32 first, u32 count) for each run, counted from piece 0 of the file.
    """
    window = pieces.window(first, count)
    raw = window.bitfield()
    runs: list[bytes] = []
    for start, length in window.ranges():
        runs.append(_RANGE.pack(first + start, length))
        if len(runs) * _RANGE.size >= len(raw):
            return RAW, raw
    return RANGES, b"".join(runs)


def decode_window(encoding: int, data: bytes, first: int, count: int) -> PieceSet:
    """Decode what :func:`encode_window` returned into a set of ``count`` pieces.

    Raises :class:`PacketError` (sendable).
    """
    if encoding == RAW:
        try:
            return PieceSet.from_bitfield(count, data)
        except PeerProtocolError as error:
            raise PacketError(f"possession: {error.message}", sendable=True) from None
    if encoding != RANGES:
        raise PacketError(f"possession: unknown encoding {encoding}", sendable=True)
    if len(data) % _RANGE.size:
        raise PacketError("possession: a range is cut short", sendable=True)
    window = PieceSet(count)
    next_free = first
    for start, length in _RANGE.iter_unpack(data):
        if start < next_free or not length or start + length > first + count:
            raise PacketError("possession: ranges out of order or out of bounds", sendable=True)
        window.set_range(start - first, length)
        next_free = start + length
    return window
