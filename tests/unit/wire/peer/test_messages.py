"""The table of peer messages: ids, and bytes."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.wire.samples import plain_messages
from torrentnet.wire.peer import messages as m


@given(message=plain_messages.filter(lambda message: not isinstance(message, m.KeepAlive)))
def test_message_round_trip(message: m.Message) -> None:
    read = m.parse(memoryview(m.pack(message)[4:]))
    assert type(read) is type(message)
    assert read == message


@pytest.mark.parametrize(
    ("message", "raw"),
    [
        (m.KeepAlive(), "00000000"),
        (m.Choke(), "00000001 00"),
        (m.Have(1), "00000005 04 00000001"),
        (m.Bitfield(b"\xc0"), "00000002 05 c0"),
        (m.Request(1, 2, 3), "0000000d 06 00000001 00000002 00000003"),
        (m.Port(6881), "00000003 09 1ae1"),
        (m.HaveAll(), "00000001 0e"),
        (m.Reject(1, 2, 3), "0000000d 10 00000001 00000002 00000003"),
        (m.Extended(0, b"de"), "00000004 14 00 6465"),
    ],
)
def test_golden(message: m.Message, raw: str) -> None:
    assert m.pack(message) == bytes.fromhex(raw)


def test_a_blocks_head_goes_before_its_data() -> None:
    assert m.pack_block_head(1, 2, 16384) == bytes.fromhex("00004009 07 00000001 00000002")
    assert len(m.pack_block_head(1, 2, 16384)) == m.BLOCK_HEAD
    for message in (m.Block(1, 2, memoryview(b"x")), m.Unknown(99)):
        with pytest.raises(TypeError):
            m.pack(message)


def test_ids_are_those_of_the_standards() -> None:
    assert {row.id: row.type.__name__ for row in m.MESSAGE_SPECS} == {
        0: "Choke",
        1: "Unchoke",
        2: "Interested",
        3: "NotInterested",
        4: "Have",
        5: "Bitfield",
        6: "Request",
        7: "Block",
        8: "Cancel",
        9: "Port",
        13: "Suggest",
        14: "HaveAll",
        15: "HaveNone",
        16: "Reject",
        17: "AllowedFast",
        20: "Extended",
    }
