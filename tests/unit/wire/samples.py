"""Sample packets and messages for tests, and strategies that generate any of them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.names import canonical_name
from torrentnet.wire.peer import messages as m
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.lookup import HolderPage, LookupHolder, LookupReply, LookupRequest, pack_lookup_page
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, OutcomeSource
from torrentnet.wire.udp.possession import PossessionReply, pack_possession

HASH, PEER = b"H" * 20, b"-NL0100-abcdefghijkl"

u16, u32, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
ports = st.integers(1, 65535)
hashes = st.binary(min_size=20, max_size=20)
words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=16)
endpoints = st.builds(Endpoint, st.ip_addresses(v=4).map(str), ports)
holders = st.lists(st.builds(LookupHolder, endpoints, words), max_size=15).map(tuple)
file_names = words.filter(lambda name: canonical_name(name) == name)
lookups = st.builds(LookupRequest, u64, u32, u16, u32, hashes, ports, file_names, words)
sizes = st.integers(0, 1 << 34)
piece_lengths = st.just(0) | st.integers(16_384, 1 << 26)
founds = st.builds(LookupReply, u32, st.booleans(), u32, u32, u32, hashes, sizes, piece_lengths, u32, u32, u16, holders)
sources = st.lists(st.builds(OutcomeSource, endpoints, u32, words), max_size=8).map(tuple)
outcomes = st.builds(
    OutcomeReport,
    u64,
    u32,
    st.sampled_from(OutcomeResult),
    u16,
    hashes,
    hashes,
    u32,
    u64,
    u32,
    sources,
    words | st.just(""),
)
possesseds = st.builds(PossessionReply, u32, u32, u32, u32)
plain_messages = st.one_of(
    st.sampled_from(
        [m.KeepAlive(), m.Choke(), m.Unchoke(), m.Interested(), m.NotInterested(), m.HaveAll(), m.HaveNone()]
    ),
    st.builds(m.Have, u32),
    st.builds(m.Suggest, u32),
    st.builds(m.AllowedFast, u32),
    st.builds(m.Port, u16),
    st.builds(m.Bitfield, st.binary(max_size=60)),
    st.builds(m.Request, u32, u32, u32),
    st.builds(m.Cancel, u32, u32, u32),
    st.builds(m.Reject, u32, u32, u32),
    st.builds(m.Extended, st.integers(0, 255), st.binary(max_size=60)),
)
"""Peer messages that carry no block."""


def a_lookup(**changed: object) -> LookupRequest:
    return LookupRequest(1 << 48, 7, 0, 0, PEER, 6881, "myfile.txt", "leecher-1")._replace(**changed)  # type: ignore[arg-type]


def a_lookup_reply(*who: LookupHolder) -> LookupReply:
    return LookupReply(7, True, 1, 500, 2000, HASH, 8 << 20, 262144, len(who), 0, 0, who)


def an_outcome(**changed: object) -> OutcomeReport:
    outcome = OutcomeReport(1 << 48, 7, OutcomeResult.SUCCEEDED, 6881, HASH, PEER, 1, 8 << 20, 400, (), "")
    return outcome._replace(**changed)  # type: ignore[arg-type]


def a_holder(number: int, name: str) -> LookupHolder:
    return LookupHolder(Endpoint(f"10.0.{number >> 8}.{number & 255}", 6881), name)


def a_report(**changed: int) -> bytes:
    values = {"pieces": 24, "first": 0, "count": 24, **changed}
    packet = bytearray(pack_possession(1 << 48, 7, 6881, HASH, PEER, PieceSet(24, range(0, 24, 2)), 0, 24))
    struct.pack_into(">III", packet, 60, values["pieces"], values["first"], values["count"])
    return bytes(packet)


def pack_lookup_reply(reply: LookupReply) -> bytes:
    """Return the bytes of a look-up's reply.

    Holders that do not fit are left for the next page.
    """
    page = HolderPage()
    for holder in reply.holders:
        if not page.add(pack_endpoint(holder.endpoint), holder.name):
            break
    return pack_lookup_page(reply, page)
