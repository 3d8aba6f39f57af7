"""The table of decoders in torrentnet.wire.

Each decoder has valid samples and the one error that it may raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.unit.wire import page
from torrentnet.wire import bencode, info, names, piece_set
from torrentnet.wire.errors import BencodeError, InvalidNameError, MetainfoError, PacketError, PeerProtocolError
from torrentnet.wire.peer import extension_protocol, handshake
from torrentnet.wire.udp import lookup, outcome, packets, possession, url_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.wire.errors import TorrentnetError

EXAMPLES = {example.title: example for example in page.examples()}


class Decoder(NamedTuple):
    """One decoder with valid samples.

    ``samples`` are whole inputs, each with the lengths of its valid prefixes.
    """

    name: str
    parse: Callable[[bytes], object]
    error: type[TorrentnetError]
    samples: tuple[tuple[bytes, frozenset[int]], ...]


def _sample(title: str, sizes: tuple[int, ...] | range = (), start: int = 0) -> tuple[bytes, frozenset[int]]:
    return EXAMPLES[title].packet[start:], frozenset(sizes)


def _from_reply(parse: Callable[[packets.ReplyPacket], object]) -> Callable[[bytes], object]:
    return lambda data: parse(packets.parse_reply(data))


_PUBLISH = EXAMPLES["Announce request: publish"].packet
_ERROR = EXAMPLES["Error reply"].packet
_METADATA = EXAMPLES["Metadata data"].packet[6:]
_INFO = EXAMPLES["Metadata data"].octets("info")

DECODERS = (
    Decoder(
        "bencode.decode", bencode.decode, BencodeError, (_sample("Extension handshake", start=6), (_INFO, frozenset()))
    ),
    Decoder(
        "bencode.decode_prefix",
        bencode.decode_prefix,
        BencodeError,
        ((_METADATA, frozenset(range(43, len(_METADATA)))),),
    ),
    Decoder("packets.parse_reply", packets.parse_reply, PacketError, ((_ERROR, frozenset(range(8, len(_ERROR)))),)),
    Decoder(
        "packets.parse_head",
        packets.parse_head,
        PacketError,
        (_sample("Connect request"), _sample("Scrape request", range(16, 36))),
    ),
    Decoder(
        "packets.parse_announce",
        packets.parse_announce,
        PacketError,
        ((_PUBLISH, frozenset(range(98, len(_PUBLISH)))),),
    ),
    Decoder("packets.parse_scrape", packets.parse_scrape, PacketError, (_sample("Scrape request"),)),
    Decoder(
        "packets.parse_connect_reply",
        _from_reply(packets.parse_connect_reply),
        PacketError,
        (_sample("Connect reply"),),
    ),
    Decoder(
        "packets.parse_announce_reply",
        _from_reply(packets.parse_announce_reply),
        PacketError,
        (_sample("Announce reply", (20, 26)),),
    ),
    Decoder(
        "packets.parse_scrape_reply",
        _from_reply(packets.parse_scrape_reply),
        PacketError,
        (_sample("Scrape reply", (8,)),),
    ),
    Decoder(
        "packets.parse_error",
        _from_reply(packets.parse_error),
        PacketError,
        ((_ERROR, frozenset(range(8, len(_ERROR)))),),
    ),
    Decoder("lookup.parse_lookup", lookup.parse_lookup, PacketError, (_sample("Look-up request"),)),
    Decoder(
        "lookup.parse_lookup_reply",
        _from_reply(lookup.parse_lookup_reply),
        PacketError,
        (_sample("Look-up reply"), _sample("Look-up reply: no such name")),
    ),
    Decoder(
        "possession.parse_possession",
        possession.parse_possession,
        PacketError,
        (_sample("Possession report"), _sample("Possession report: ranges", (72, 80))),
    ),
    Decoder(
        "possession.parse_possession_reply",
        _from_reply(possession.parse_possession_reply),
        PacketError,
        (_sample("Possession reply"),),
    ),
    Decoder("outcome.parse_outcome", outcome.parse_outcome, PacketError, (_sample("Outcome"),)),
    Decoder(
        "outcome.parse_outcome_reply",
        _from_reply(outcome.parse_outcome_reply),
        PacketError,
        (_sample("Outcome reply"),),
    ),
    Decoder("url_data.parse_url_data", url_data.parse_url_data, PacketError, ((_PUBLISH[98:], frozenset({0})),)),
    Decoder("url_data.parse_publication", url_data.parse_publication, PacketError, ((_PUBLISH[98:], frozenset({0})),)),
    Decoder("handshake.parse_handshake", handshake.parse_handshake, PeerProtocolError, (_sample("Handshake"),)),
    Decoder(
        "extension_protocol.parse_extension_handshake",
        extension_protocol.parse_extension_handshake,
        PeerProtocolError,
        (_sample("Extension handshake", start=6),),
    ),
    Decoder(
        "extension_protocol.parse_metadata",
        extension_protocol.parse_metadata,
        PeerProtocolError,
        (
            (_METADATA, frozenset(range(43, len(_METADATA)))),
            _sample("Metadata request", start=6),
            _sample("Metadata reject", start=6),
        ),
    ),
    Decoder("info.parse_info", info.parse_info, MetainfoError, ((_INFO, frozenset()),)),
    Decoder(
        "names.decode_file_name", names.decode_file_name, InvalidNameError, ((b"myfile.txt", frozenset(range(1, 10))),)
    ),
    Decoder(
        "names.decode_peer_name", names.decode_peer_name, InvalidNameError, ((b"seeder-1", frozenset(range(1, 8))),)
    ),
    Decoder(
        "pieces.decode_window (bitfield)",
        lambda data: piece_set.decode_window(piece_set.RAW, data, 100, 19),
        PacketError,
        ((b"\xff\x00\xe0", frozenset()),),
    ),
    Decoder(
        "pieces.decode_window (ranges)",
        lambda data: piece_set.decode_window(piece_set.RANGES, data, 100, 900),
        PacketError,
        ((b"\0\0\0\x64\0\0\0\x05\0\0\0\xc8\0\0\x03\x20", frozenset({0, 8})),),
    ),
    Decoder(
        "pieces.PieceSet.from_bitfield",
        lambda data: piece_set.PieceSet.from_bitfield(19, data),
        PeerProtocolError,
        ((b"\xff\x00\xe0", frozenset()),),
    ),
)
