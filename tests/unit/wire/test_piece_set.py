"""Piece sets, compared with Python's own sets.

The tests also cover the possession windows in which piece sets are sent.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from torrentnet.wire import piece_set
from torrentnet.wire.errors import PacketError, PeerProtocolError
from torrentnet.wire.piece_set import MAX_WINDOW, RANGES, RAW, PieceSet, decode_window, encode_window
from torrentnet.wire.udp.packets import MAX_DATAGRAM
from torrentnet.wire.udp.possession import pack_possession, parse_possession, possession_windows


class PieceSetMachine(RuleBasedStateMachine):
    """A PieceSet and a set of numbers go through the same operations."""

    @initialize(size=st.integers(0, 100))
    def make(self, size: int) -> None:
        self.size = size
        self.pieces = PieceSet(size)
        self.model: set[int] = set()

    @rule(piece=st.integers(-3, 103))
    def add(self, piece: int) -> None:
        if 0 <= piece < self.size:
            self.pieces.add(piece)
            self.model.add(piece)
        else:
            with pytest.raises(IndexError):
                self.pieces.add(piece)

    @rule(first=st.integers(-2, 101), count=st.integers(-1, 101))
    def set_range(self, first: int, count: int) -> None:
        if first >= 0 and count >= 0 and first + count <= self.size:
            self.pieces.set_range(first, count)
            self.model |= set(range(first, first + count))
        else:
            with pytest.raises(IndexError):
                self.pieces.set_range(first, count)

    @rule(data=st.data())
    def replace_window(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, self.size))
        count = data.draw(st.integers(0, self.size - first))
        held = data.draw(st.sets(st.integers(0, count - 1))) if count else set()
        self.pieces.replace_window(first, PieceSet(count, held))
        self.model -= set(range(first, first + count))
        self.model |= {first + piece for piece in held}

    @rule(data=st.data())
    def window(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, self.size))
        count = data.draw(st.integers(0, self.size - first))
        held = {piece - first for piece in self.model if first <= piece < first + count}
        assert self.pieces.window(first, count) == PieceSet(count, held)
        assert len(self.pieces.window(first, count)) == len(held)

    @invariant()
    def same(self) -> None:
        assert len(self.pieces) == len(self.model)
        assert {piece for piece in range(-2, self.size + 2) if piece in self.pieces} == self.model
        assert self.pieces.is_full == (len(self.model) == self.size)
        assert list(self.pieces.missing()) == [piece for piece in range(self.size) if piece not in self.model]
        runs = list(self.pieces.ranges())
        assert {piece for first, count in runs for piece in range(first, first + count)} == self.model
        assert all(a + n < b for (a, n), (b, _) in itertools.pairwise(runs))
        assert PieceSet.from_bitfield(self.size, self.pieces.bitfield()) == self.pieces
        assert PieceSet(self.size, self.model) == self.pieces


PieceSetMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestPieceSet = PieceSetMachine.TestCase


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 11_000, 1 << 20])
def test_full(size: int) -> None:
    full = PieceSet.full(size)
    assert full.is_full
    assert len(full) == size
    assert list(full.ranges()) == ([(0, size)] if size else [])
    assert PieceSet.from_bitfield(size, full.bitfield()) == full


def test_the_high_bit_of_the_first_byte_is_piece_0() -> None:
    assert PieceSet(10, [0, 9]).bitfield() == b"\x80\x40"
    assert list(PieceSet.from_bitfield(10, memoryview(b"\x01\x80")).ranges()) == [(7, 2)]


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\xff\xc0\x00"])
def test_a_bitfield_of_another_length_is_refused(raw: bytes) -> None:
    with pytest.raises(PeerProtocolError, match="in place of 2"):
        PieceSet.from_bitfield(10, raw)


@pytest.mark.parametrize("spare", range(6))
def test_a_spare_bit_is_refused(spare: int) -> None:
    with pytest.raises(PeerProtocolError, match="spare bit"):
        PieceSet.from_bitfield(10, bytes((0, 1 << spare)))


def test_sets_of_different_size_differ_and_none_can_be_a_key() -> None:
    assert PieceSet(8) != PieceSet(9)
    assert PieceSet(8) != "none of 8"
    with pytest.raises(TypeError):
        hash(PieceSet(8))


@pytest.mark.parametrize(
    ("size", "held", "text"),
    [
        (32, range(32), "all 32"),
        (0, (), "all 0"),
        (32, (), "none of 32"),
        (32, (0, 1, 2, 3, 4, 9), "0-4, 9 (6 of 32)"),
        (2, (1,), "1 (1 of 2)"),
    ],
)
def test_description(size: int, held: range | tuple[int, ...], text: str) -> None:
    assert PieceSet(size, held).describe() == text
    assert repr(PieceSet(size, held)) == f"PieceSet({size}, {text})"


@pytest.mark.parametrize("size", [32_768, 32_769, 100_000])
def test_runs_that_cross_the_searched_parts(size: int) -> None:
    full = PieceSet.full(size)
    assert list(full.ranges()) == [(0, size)]
    full.discard(65)
    full.discard(32_767)
    assert list(full.missing()) == [65, 32_767]
    behind = [(32_768, size - 32_768)] if size > 32_768 else []
    assert list(full.ranges()) == [(0, 65), (66, 32_701), *behind]


def test_long_description_is_cut_and_keeps_the_count() -> None:
    text = PieceSet.from_bitfield(1 << 20, b"\xaa" * (1 << 17)).describe()
    assert text.startswith("0, 2, 4, ")
    assert text.endswith(", ... (524288 of 1048576)")
    assert len(text) < 1_100


@given(data=st.data())
def test_window_round_trip(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 600))
    held = PieceSet(size, data.draw(st.sets(st.integers(0, size - 1))) if size else ())
    first = data.draw(st.integers(0, size))
    count = data.draw(st.integers(0, size - first))
    encoding, raw = encode_window(held, first, count)
    window = decode_window(encoding, raw, first, count)
    assert window == PieceSet(count, (piece - first for piece in range(first, first + count) if piece in held))
    # The smaller encoding is chosen.
    assert len(raw) == min((count + 7) // 8, 8 * len(list(window.ranges())))


def test_golden_windows() -> None:
    assert encode_window(PieceSet(3, [0, 1]), 0, 3) == (RAW, b"\xc0")
    assert encode_window(PieceSet(4096), 0, 4096) == (RANGES, b"")
    assert encode_window(PieceSet.full(4096), 1000, 3096) == (RANGES, b"\x00\x00\x03\xe8\x00\x00\x0c\x18")
    assert encode_window(PieceSet.full(64), 0, 64) == (RAW, b"\xff" * 8)
    assert encode_window(PieceSet.full(65), 0, 65) == (RANGES, b"\x00\x00\x00\x00\x00\x00\x00\x41")


@pytest.mark.parametrize(
    ("encoding", "raw", "text"),
    [
        (2, b"", "unknown encoding 2"),
        (255, b"\0", "unknown encoding 255"),
        (RAW, b"", "bitfield of 0 bytes in place of 2"),
        (RAW, b"\0\0\0", "bitfield of 3 bytes in place of 2"),
        (RAW, b"\0\x01", "spare bit"),
        (RANGES, b"\0" * 7, "cut short"),
        (RANGES, b"\0\0\0\x64\0\0\0\0", "out of order or out of bounds"),
        (RANGES, b"\0\0\0\x63\0\0\0\x02", "out of order or out of bounds"),
        (RANGES, b"\0\0\0\x64\0\0\0\x0b", "out of order or out of bounds"),
        (RANGES, b"\0\0\0\x64\xff\xff\xff\xff", "out of order or out of bounds"),
        (RANGES, b"\0\0\0\x64\0\0\0\x04\0\0\0\x67\0\0\0\x01", "out of order or out of bounds"),
        (RANGES, b"\0\0\0\x68\0\0\0\x01\0\0\0\x64\0\0\0\x01", "out of order or out of bounds"),
    ],
)
def test_a_bad_window_may_be_reported_to_its_sender(encoding: int, raw: bytes, text: str) -> None:
    with pytest.raises(PacketError, match=text) as refused:
        decode_window(encoding, raw, 100, 10)
    assert refused.value.sendable


@pytest.mark.parametrize("size", [0, 1, MAX_WINDOW - 1, MAX_WINDOW, MAX_WINDOW + 1, 5 * MAX_WINDOW, 1 << 20])
def test_windows_cover_each_piece_once(size: int) -> None:
    parts = possession_windows(size)
    assert len(parts) == max(1, -(-size // MAX_WINDOW))
    position = 0
    for first, count in parts:
        assert first == position
        assert count <= MAX_WINDOW
        position += count
    assert position == size


@pytest.mark.parametrize("step", [1, 2, 3, 60, 70])
def test_the_largest_window_fits_into_a_datagram(step: int) -> None:
    size = 2 * MAX_WINDOW
    held = PieceSet(size, range(0, size, step))
    for first, count in possession_windows(size):
        packet = pack_possession(1, 2, 6881, bytes(20), bytes(20), held, first, count)
        assert len(packet) <= MAX_DATAGRAM
        report = parse_possession(packet)
        rebuilt = PieceSet(size)
        rebuilt.replace_window(report.first, report.window)
        assert list(rebuilt.ranges()) == list(
            PieceSet(size, (p for p in range(first, first + count) if p in held)).ranges()
        )


def test_the_worst_window_is_raw_and_just_fits() -> None:
    packet = pack_possession(
        1, 2, 6881, bytes(20), bytes(20), PieceSet(MAX_WINDOW, range(0, MAX_WINDOW, 2)), 0, MAX_WINDOW
    )
    assert packet[17] == piece_set.RAW
    assert len(packet) == 72 + 1375
