"""The message reader returns the same messages however the stream is cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.samples import plain_messages as plain
from tests.unit.wire.samples import u32
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer import messages as m
from torrentnet.wire.peer.message_reader import MessageReader

LIMIT = 1024

blocks = st.tuples(u32, u32, st.binary(max_size=60))
unknown = st.tuples(st.sampled_from([10, 11, 12, 18, 19, 21, 22, 23, 99, 255]), st.binary(max_size=30))
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=10)


def _pack(item: object) -> tuple[bytes, object]:
    """Bytes of a generated item, and the message that the reader must return for them."""
    match item:
        case (int() as piece, int() as begin, bytes() as data):
            return m.pack_block_head(piece, begin, len(data)) + data, ("Block", piece, begin, data)
        case (int() as identifier, bytes() as data) if not isinstance(item, m.Extended):
            return struct.pack(">IB", 1 + len(data), identifier) + data, ("Unknown", identifier)
        case _:
            message: m.Message = item  # type: ignore[assignment]
            return m.pack(message), _kept(message)


def _kept(message: m.Message) -> object:
    """Copy a message out of the reader's buffer, with its type.

    The type is needed because a Choke and an Unchoke are equal as tuples.
    """
    values = (bytes(value) if isinstance(value, memoryview) else value for value in message)
    return (type(message).__name__, *values)


def _read(stream: bytes, sizes: list[int], limit: int = LIMIT, capacity: int | None = None) -> list[object]:
    reader = MessageReader(limit, capacity)
    found: list[object] = []
    position, turn = 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        found += [_kept(message) for message in reader.feed(stream[position : position + size])]
        position, turn = position + size, turn + 1
    return found


@settings(max_examples=200)
@given(items=st.lists(plain | blocks | unknown, max_size=12), sizes=cuts)
def test_a_stream_reads_the_same_however_it_is_cut(items: list[object], sizes: list[int]) -> None:
    packed = [_pack(item) for item in items]
    stream = b"".join(raw for raw, _ in packed)
    expected = [message for _, message in packed]
    assert _read(stream, [len(stream) or 1]) == expected
    assert _read(stream, [1]) == expected
    assert _read(stream, sizes) == expected
    assert _read(stream, sizes, capacity=64 * 1024) == expected
    assert _read(stream, sizes, limit=9 + 60) == expected


@settings(max_examples=300)
@given(garbage=st.binary(max_size=400), sizes=cuts)
def test_garbage_is_read_or_refused_with_the_documented_error(garbage: bytes, sizes: list[int]) -> None:
    def outcome(steps: list[int]) -> tuple[list[object], str]:
        reader = MessageReader(LIMIT)
        found: list[object] = []
        position, turn = 0, 0
        try:
            while position < len(garbage):
                size = steps[turn % len(steps)]
                for message in reader.feed(garbage[position : position + size]):
                    found.append(_kept(message))  # noqa: PERF401  # what came before the error counts
                position, turn = position + size, turn + 1
        except PeerProtocolError as error:
            return found, error.message
        return found, ""

    assert outcome(sizes) == outcome([1]) == outcome([400])


@settings(max_examples=200)
@given(identifier=st.sampled_from([row.id for row in m.MESSAGE_SPECS]), payload=st.binary(max_size=40), sizes=cuts)
def test_a_known_id_with_any_payload(identifier: int, payload: bytes, sizes: list[int]) -> None:
    row = next(row for row in m.MESSAGE_SPECS if row.id == identifier)
    stream = struct.pack(">IB", 1 + len(payload), identifier) + payload
    if row.least <= len(payload) and (row.most is None or len(payload) <= row.most):
        (message,) = MessageReader(LIMIT).feed(stream)
        assert type(message) is row.type
    else:
        with pytest.raises(PeerProtocolError, match=f"{row.type.__name__} with {len(payload)} bytes of payload"):
            _read(stream, sizes)


@pytest.mark.parametrize("row", m.MESSAGE_SPECS, ids=lambda row: row.type.__name__)
def test_every_prefix_of_a_message_waits_for_the_rest(row: m.MessageSpec) -> None:
    stream = struct.pack(">IB", 1 + row.least, row.id) + bytes(row.least)
    for size in range(len(stream)):
        reader = MessageReader(LIMIT)
        assert list(reader.feed(stream[:size])) == []
        (message,) = reader.feed(stream[size:])
        assert type(message) is row.type


def test_the_limit_is_checked_before_anything_is_kept() -> None:
    (message,) = MessageReader(LIMIT).feed(struct.pack(">IB", LIMIT, 20) + bytes(LIMIT - 1))
    assert isinstance(message, m.Extended)
    with pytest.raises(PeerProtocolError, match="message of 1025 bytes, at most 1024 are allowed"):
        list(MessageReader(LIMIT).feed(struct.pack(">I", LIMIT + 1)))
    with pytest.raises(PeerProtocolError, match="message of 4294967295 bytes"):
        list(MessageReader(LIMIT).feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize(("size", "fits"), [(0, True), (m.BLOCK, True), (m.MAX_BLOCK, True), (m.MAX_BLOCK + 1, False)])
def test_the_largest_block(size: int, fits: bool) -> None:
    stream = m.pack_block_head(1, 2, size) + bytes(size)
    reader = MessageReader(m.MAX_BLOCK + 100)
    if fits:
        (message,) = reader.feed(stream)
        assert isinstance(message, m.Block)
        assert (message.piece, message.begin, len(message.data)) == (1, 2, size)
    else:
        with pytest.raises(PeerProtocolError, match=f"Block with {m.MAX_BLOCK + 9} bytes of payload"):
            list(reader.feed(stream))


def test_blocks_are_handed_out_where_they_were_received() -> None:
    reader = MessageReader(m.MAX_BLOCK + 9)
    room = reader.buffers()[0]
    stream = m.pack_block_head(7, 0, 5) + b"hello" + m.pack(m.Have(1))[:3]
    room[: len(stream)] = stream
    (message,) = reader.advance(len(stream))
    assert isinstance(message, m.Block)
    assert message.data.obj is room.obj
    assert bytes(message.data) == b"hello"
    # The three bytes of the next message have moved to the front; there is always room for more.
    assert len(reader.buffers()[0]) == len(room) - 3
    assert list(reader.feed(m.pack(m.Have(1))[3:])) == [m.Have(1)]


@settings(max_examples=150)
@given(
    sizes=st.lists(st.sampled_from([1, m.BLOCK, 40_000, 100_000, m.MAX_BLOCK]), min_size=1, max_size=4),
    steps=st.lists(st.sampled_from([13, 500, 4096, 40_000, 300_000]), min_size=1, max_size=4),
    named=st.booleans(),
)
def test_large_blocks_are_received_into_given_memory(sizes: list[int], steps: list[int], named: bool) -> None:
    memory = [bytearray(size) for size in sizes]
    asked: set[int] = set()

    def place(piece: int, begin: int, length: int) -> memoryview | None:
        assert (begin, length) == (7, sizes[piece])
        asked.add(piece)
        return memoryview(memory[piece]) if named else None

    contents = [(bytes(range(index, 251)) * (size // 200 + 1))[:size] for index, size in enumerate(sizes)]
    packed = [m.pack_block_head(index, 7, size) + contents[index] for index, size in enumerate(sizes)]
    stream = m.pack(m.Have(0)).join(packed) + m.pack(m.Unchoke())
    reader = MessageReader(m.MAX_BLOCK + m.BLOCK_HEAD, 1 << 20)
    reader.block_buffer = place
    blocks: list[int] = []
    others = 0
    position, turn = 0, 0
    while position < len(stream):
        # As recvmsg_into() does: the first buffer is filled before the second.
        left, count = steps[turn % len(steps)], 0
        for room in reader.buffers():
            some = min(left - count, len(room), len(stream) - position)
            room[:some] = stream[position : position + some]
            position, count = position + some, count + some
        for message in reader.advance(count):
            if isinstance(message, m.Block):
                assert bytes(message.data) == contents[message.piece]
                assert message.piece not in asked or not named or message.data.obj is memory[message.piece]
                blocks.append(message.piece)
            else:
                others += 1
        turn += 1
    assert (blocks, others) == (list(range(len(sizes))), len(sizes))
    if max(steps) <= 500:
        # No large block arrived whole, so memory was requested for each.
        assert asked == {index for index, size in enumerate(sizes) if size >= 40_000}


def test_memory_of_another_size_is_the_callers_mistake() -> None:
    reader = MessageReader(m.MAX_BLOCK + m.BLOCK_HEAD)
    reader.block_buffer = lambda piece, begin, length: memoryview(bytearray(length - 1))
    with pytest.raises(ValueError, match="39999 bytes of memory for a block of 40000"):
        list(reader.feed(m.pack_block_head(0, 0, 40_000)))


def test_no_memory_is_requested_for_a_block_too_large() -> None:
    reader = MessageReader(2 * m.MAX_BLOCK)
    reader.block_buffer = lambda piece, begin, length: pytest.fail("asked where it is to be")
    with pytest.raises(PeerProtocolError, match="Block with"):
        list(reader.feed(m.pack_block_head(0, 0, m.MAX_BLOCK + 1) + bytes(m.MAX_BLOCK + 1)))


def test_the_buffer_holds_the_last_byte_of_the_longest_message() -> None:
    reader = MessageReader(16)
    stream = struct.pack(">IB", 16, 20) + bytes(15)
    for byte in stream[:-1]:
        assert len(reader.buffers()[0]) > 0
        assert list(reader.feed(bytes((byte,)))) == []
    assert len(reader.buffers()[0]) == 1
    assert len(list(reader.feed(stream[-1:]))) == 1
