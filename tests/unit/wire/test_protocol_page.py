"""Agreement of docs/protocol.md with the code.

Every packet on the page is what the code packs from the values beside it.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.wire import page
from tests.unit.wire.samples import pack_lookup_reply
from torrentnet.wire import info, metainfo
from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.peer import extension_protocol, handshake, messages
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp import connection_id, packets, url_data
from torrentnet.wire.udp.lookup import (
    LookupHolder,
    LookupReply,
    LookupRequest,
    pack_lookup,
    parse_lookup,
    parse_lookup_reply,
)
from torrentnet.wire.udp.outcome import (
    OutcomeReport,
    OutcomeResult,
    OutcomeSource,
    pack_outcome,
    pack_outcome_reply,
    parse_outcome,
    parse_outcome_reply,
)
from torrentnet.wire.udp.possession import (
    PossessionReply,
    pack_possession,
    pack_possession_reply,
    parse_possession,
    parse_possession_reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = {example.title: example for example in page.examples()}


def _connect(e: page.Example) -> bytes:
    assert e.number("protocol_id") == packets.PROTOCOL_ID
    return packets.pack_connect(e.number("transaction_id"))


def _connected(e: page.Example) -> bytes:
    return packets.pack_connect_reply(e.number("transaction_id"), e.number("connection_id"))


def _announce(e: page.Example) -> bytes:
    options = b""
    if e.has("url"):
        publication = url_data.Publication("myfile.txt", 524304, 262144, "seeder-1", extended=True)
        options = url_data.pack_publication(publication)
        assert url_data.parse_url_data(options) == e.octets("url")
        assert url_data.parse_publication(options) == publication
    announce = packets.AnnounceRequest(
        e.number("connection_id"),
        e.number("transaction_id"),
        e.octets("info_hash"),
        e.octets("peer_id"),
        e.number("downloaded"),
        e.number("left"),
        e.number("uploaded"),
        e.number("event"),
        e.number("ip"),
        e.number("key"),
        e.number("want"),
        e.number("port"),
        options,
    )
    packet = packets.pack_announce(announce)
    assert packets.parse_announce(packet) == announce
    return packet


def _announced(e: page.Example) -> bytes:
    peers = tuple(Endpoint(e.text(f"peers[{n}].address"), e.number(f"peers[{n}].port")) for n in range(2))
    compact = b"".join(map(pack_endpoint, peers))
    numbers = (e.number("transaction_id"), e.number("interval"), e.number("leechers"), e.number("seeders"))
    packet = packets.pack_announce_reply(*numbers, compact)
    assert packets.parse_announce_reply(packets.parse_reply(packet)) == packets.AnnounceReply(*numbers, peers)
    return packet


def _scrape(e: page.Example) -> bytes:
    wanted = (e.octets("info_hash[0]"),)
    packet = packets.pack_scrape(e.number("connection_id"), e.number("transaction_id"), wanted)
    assert packets.parse_scrape(packet) == wanted
    return packet


def _scraped(e: page.Example) -> bytes:
    swarm = packets.ScrapeCounts(
        e.number("swarm[0].seeders"), e.number("swarm[0].completed"), e.number("swarm[0].leechers")
    )
    packet = packets.pack_scrape_reply(e.number("transaction_id"), (swarm,))
    assert packets.parse_scrape_reply(packets.parse_reply(packet)) == (swarm,)
    return packet


def _error(e: page.Example) -> bytes:
    packet = packets.pack_error(e.number("transaction_id"), e.text("message"))
    assert packets.parse_error(packets.parse_reply(packet)) == e.text("message")
    return packet


def _lookup(e: page.Example) -> bytes:
    lookup = LookupRequest(
        e.number("connection_id"),
        e.number("transaction_id"),
        e.number("first"),
        e.number("request"),
        e.octets("peer_id"),
        e.number("port"),
        e.text("name"),
        e.text("peer"),
    )
    packet = pack_lookup(lookup)
    assert parse_lookup(packet) == lookup
    return packet


def _found(e: page.Example) -> bytes:
    holders = tuple(
        LookupHolder(
            Endpoint(e.text(f"holder[{n}].address"), e.number(f"holder[{n}].port")),
            e.text(f"holder[{n}].name"),
        )
        for n in range(e.number("count"))
    )
    found = LookupReply(
        e.number("transaction_id"),
        e.number("flags") == 1,
        e.number("request"),
        e.number("keepalive_ms"),
        e.number("timeout_ms"),
        e.octets("info_hash"),
        e.number("size"),
        e.number("piece_length"),
        e.number("complete"),
        e.number("incomplete"),
        e.number("first"),
        holders,
    )
    packet = pack_lookup_reply(found)
    assert parse_lookup_reply(packets.parse_reply(packet)) == found
    return packet


def _possession(e: page.Example) -> bytes:
    held = PieceSet(e.number("pieces"))
    if e.number("encoding") == 0:
        held = PieceSet.from_bitfield(held.size, e.octets("held"))
    else:
        held.set_range(e.number("range[0].first"), e.number("range[0].count"))
        held.set_range(e.number("range[1].first"), e.number("range[1].count"))
    packet = pack_possession(
        e.number("connection_id"),
        e.number("transaction_id"),
        e.number("port"),
        e.octets("info_hash"),
        e.octets("peer_id"),
        held,
        e.number("first"),
        e.number("count"),
    )
    assert parse_possession(packet).window == held
    return packet


def _possessed(e: page.Example) -> bytes:
    fields = ("transaction_id", "keepalive_ms", "timeout_ms", "held")
    possessed = PossessionReply(*(e.number(field) for field in fields))
    packet = pack_possession_reply(possessed)
    assert parse_possession_reply(packets.parse_reply(packet)) == possessed
    return packet


def _outcome(e: page.Example) -> bytes:
    source = OutcomeSource(
        Endpoint(e.text("source[0].address"), e.number("source[0].port")),
        e.number("source[0].pieces"),
        e.text("source[0].name"),
    )
    outcome = OutcomeReport(
        e.number("connection_id"),
        e.number("transaction_id"),
        OutcomeResult(e.number("result")),
        e.number("port"),
        e.octets("info_hash"),
        e.octets("peer_id"),
        e.number("request"),
        e.number("transferred"),
        e.number("elapsed_ms"),
        (source,),
        e.text("reason"),
    )
    packet = pack_outcome(outcome)
    assert parse_outcome(packet) == outcome
    return packet


def _noted(e: page.Example) -> bytes:
    packet = pack_outcome_reply(e.number("transaction_id"), e.number("request"))
    assert parse_outcome_reply(packets.parse_reply(packet)) == e.number("request")
    return packet


def _handshake(e: page.Example) -> bytes:
    hello = handshake.Handshake(e.octets("info_hash"), e.octets("peer_id"))
    packet = handshake.pack_handshake(hello)
    assert handshake.parse_handshake(packet) == hello
    return packet


def _request(e: page.Example) -> bytes:
    return messages.pack(messages.Request(e.number("piece"), e.number("begin"), e.number("block_size")))


def _piece(e: page.Example) -> bytes:
    data = e.octets("data")
    return messages.pack_block_head(e.number("piece"), e.number("begin"), len(data)) + data


def _extension_handshake(e: page.Example) -> bytes:
    takes_offers = "takes offers" in e.title
    offered = extension_protocol.ExtensionHandshake(
        extension_protocol.METADATA_ID,
        0 if takes_offers else len(INFO.raw),
        "torrentnet 0.1.0",
        block=messages.MAX_BLOCK,
        offer_id=extension_protocol.OFFER_ID if takes_offers else 0,
        makes_offers=True,
        name="leecher-1" if takes_offers else "seeder-1",
        port=6881,
    )
    payload = extension_protocol.pack_extension_handshake(offered)
    assert payload == e.octets("dictionary")
    assert extension_protocol.parse_extension_handshake(payload) == offered
    return messages.pack(messages.Extended(extension_protocol.HANDSHAKE_ID, payload))


def _metadata(e: page.Example, metadata: extension_protocol.Metadata) -> bytes:
    payload = extension_protocol.pack_metadata(metadata)
    assert payload.startswith(e.octets("dictionary"))
    assert extension_protocol.parse_metadata(payload) == metadata
    return messages.pack(messages.Extended(e.number("extended_id"), payload))


def _metadata_request(e: page.Example) -> bytes:
    return _metadata(e, extension_protocol.Metadata(extension_protocol.MetadataKind.REQUEST, 0))


def _metadata_data(e: page.Example) -> bytes:
    return _metadata(
        e, extension_protocol.Metadata(extension_protocol.MetadataKind.DATA, 0, len(INFO.raw), e.octets("info"))
    )


def _metadata_reject(e: page.Example) -> bytes:
    return _metadata(e, extension_protocol.Metadata(extension_protocol.MetadataKind.REJECT, 0))


def _offer(e: page.Example) -> bytes:
    assert e.number("extended_id") == extension_protocol.OFFER_ID
    return messages.pack(messages.Extended(extension_protocol.OFFER_ID, b""))


def _info() -> info.Info:
    content = b"a" * 524304
    hashes = [
        hashlib.sha1(content[at : at + 262144], usedforsecurity=False).digest() for at in range(0, 524304, 262144)
    ]
    return info.make_info("myfile.txt", len(content), 262144, b"".join(hashes))


INFO = _info()

PACK: dict[str, Callable[[page.Example], bytes]] = {
    "Connect request": _connect,
    "Connect reply": _connected,
    "Announce request: publish": _announce,
    "Announce request: keep-alive": _announce,
    "Announce request: another client": _announce,
    "Announce reply": _announced,
    "Scrape request": _scrape,
    "Scrape reply": _scraped,
    "Error reply": _error,
    "Look-up request": _lookup,
    "Look-up reply": _found,
    "Look-up reply: no such name": _found,
    "Possession report": _possession,
    "Possession report: ranges": _possession,
    "Possession reply": _possessed,
    "Outcome": _outcome,
    "Outcome reply": _noted,
    "Handshake": _handshake,
    "Request": _request,
    "Piece": _piece,
    "Extension handshake": _extension_handshake,
    "Extension handshake: of a leecher that takes offers": _extension_handshake,
    "Metadata request": _metadata_request,
    "Metadata data": _metadata_data,
    "Metadata reject": _metadata_reject,
    "Offer": _offer,
}


def test_every_packet_has_its_section() -> None:
    assert list(EXAMPLES) == list(PACK)


@pytest.mark.parametrize("title", PACK)
def test_the_code_packs_what_the_dump_shows(title: str) -> None:
    example = EXAMPLES[title]
    assert PACK[title](example) == example.packet


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_table_describes_every_byte_of_the_dump(example: page.Example) -> None:
    at = 0
    for row in example.rows:
        assert row.offset == str(at), f"{row.field} begins at {at}"
        if row.size == "rest":
            assert row is example.rows[-1]
        else:
            assert int(row.size) == len(row.raw), row.field
        at += len(row.raw)
    assert b"".join(row.raw for row in example.rows) == example.packet
    assert example.dump == page.hex_dump(example.packet)


def test_the_example_file_has_the_hash_that_all_packets_carry() -> None:
    assert INFO.info_hash == EXAMPLES["Handshake"].octets("info_hash")
    assert INFO.raw == EXAMPLES["Metadata data"].octets("info")
    link = metainfo.magnet_link(INFO, "198.18.0.2:6771", Endpoint("198.18.0.4", 6881))
    assert f"    {link}\n" in page.PAGE.read_text("utf-8")


def test_the_example_connection_id_says_42_seconds() -> None:
    issued = EXAMPLES["Connect reply"].number("connection_id")
    assert issued >> 32 == connection_id.ConnectionIds(bytes(16), 0.0).issue("198.18.0.4", 42.0) >> 32


def test_the_table_of_messages_is_the_codes_table() -> None:
    rows = page.table_below("Messages")
    assert [row[0] for row in rows[1:]] == [str(row.id) for row in messages.MESSAGE_SPECS]
    assert [row[1] for row in rows] == ["KeepAlive", *(row.type.__name__ for row in messages.MESSAGE_SPECS)]
    for identifier, name, *_, example, _ in rows:
        raw = bytes.fromhex(example.strip("`"))
        (message,) = MessageReader(1024).feed(raw)
        assert type(message).__name__ == name
        assert not identifier or raw[4] == int(identifier)
        if not isinstance(message, (messages.Block, messages.Unknown)):
            assert messages.pack(message) == raw


def test_the_table_of_actions_is_the_codes_table() -> None:
    numbers = [int(row[1].strip("`"), 0) for row in page.table_below("Packets between peer and tracker")]
    assert numbers == list(packets.Action)


def test_the_table_of_limits_agrees_with_the_code() -> None:
    rows = page.table_below("Limits")
    assert len(rows) >= 16
    for name, value, _ in rows:
        module, constant = name.strip("`").rsplit(".", 1)
        held = getattr(importlib.import_module(f"torrentnet.wire.{module}"), constant)
        assert held == int(value.replace(",", "")), name


def test_every_link_within_the_page_has_its_heading() -> None:
    text = page.PAGE.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= anchors
    assert (page.PAGE.parent / "torrentnet.lua").is_file()
