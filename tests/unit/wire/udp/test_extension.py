"""Properties common to look-up, possession and outcome."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wire.samples import (
    HASH,
    PEER,
    a_lookup,
    a_lookup_reply,
    a_report,
    an_outcome,
    founds,
    pack_lookup_reply,
    possesseds,
    u32,
)
from torrentnet.wire.errors import PacketError
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import extension
from torrentnet.wire.udp import packets as udp
from torrentnet.wire.udp.lookup import LookupReply, pack_lookup, parse_lookup, parse_lookup_reply
from torrentnet.wire.udp.outcome import pack_outcome, pack_outcome_reply, parse_outcome, parse_outcome_reply
from torrentnet.wire.udp.packets import parse_reply
from torrentnet.wire.udp.possession import (
    PossessionReply,
    pack_possession,
    pack_possession_reply,
    parse_possession,
    parse_possession_reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@given(found=founds, possessed=possesseds, numbers=st.tuples(u32, u32))
def test_no_reply_looks_like_a_request(
    found: LookupReply, possessed: PossessionReply, numbers: tuple[int, int]
) -> None:
    """Wireshark reads the word at offset 8 before it knows the direction."""
    packets = [pack_lookup_reply(found), pack_possession_reply(possessed), pack_outcome_reply(*numbers)]
    for packet in packets:
        assert struct.unpack_from(">I", packet, 8)[0] not in {1, 2}
        assert packet[8] == extension.VERSION


def test_no_reply_to_an_unproved_address_exceeds_its_request() -> None:
    connect = udp.pack_connect_reply(1, 1 << 48)
    assert len(connect) <= len(udp.pack_connect(1))
    refusal = udp.pack_error(1, "connection id refused: connect again")
    requests = [
        udp.ANNOUNCE_SIZE,
        len(pack_lookup(a_lookup(name="a", peer="b"))),
        72,
        len(pack_outcome(an_outcome())),
    ]
    assert len(refusal) <= min(requests)


@pytest.mark.parametrize("version", [0, 2, 255])
@pytest.mark.parametrize(
    ("packet", "at", "parse"),
    [
        (pack_lookup(a_lookup()), 16, parse_lookup),
        (a_report(), 16, parse_possession),
        (pack_outcome(an_outcome()), 16, parse_outcome),
        (pack_lookup_reply(a_lookup_reply()), 8, lambda data: parse_lookup_reply(parse_reply(data))),
        (pack_possession_reply(PossessionReply(1, 2, 3, 4)), 8, lambda data: parse_possession_reply(parse_reply(data))),
        (pack_outcome_reply(1, 2), 8, lambda data: parse_outcome_reply(parse_reply(data))),
    ],
)
def test_another_version_is_refused(packet: bytes, at: int, parse: Callable[[bytes], object], version: int) -> None:
    parse(packet)
    changed = packet[:at] + bytes((version,)) + packet[at + 1 :]
    with pytest.raises(PacketError, match=f"version {version} "):
        parse(changed)


@pytest.mark.parametrize(
    ("packet", "size"),
    [
        (pack_lookup(a_lookup(name="a", peer="b")), 50),
        (pack_lookup_reply(a_lookup_reply()), 68),
        (pack_possession(1, 2, 3, HASH, PEER, PieceSet(8), 0, 8), 72),
        (pack_possession_reply(PossessionReply(1, 2, 3, 4)), 24),
        (pack_outcome(an_outcome()), 80),
        (pack_outcome_reply(1, 2), 16),
    ],
)
def test_sizes(packet: bytes, size: int) -> None:
    assert len(packet) == size
