"""One input for each message with which torrentnet.wire refuses something.

The texts are in golden/refusals.txt.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.unit.wire import page
from torrentnet.wire import bencode, info, metainfo, names, piece_set
from torrentnet.wire.peer import extension_protocol, handshake, messages
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.udp import lookup, outcome, packets, possession, url_data

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKETS = {example.title: example.packet for example in page.examples()}


def _changed(title: str, at: int, new: bytes) -> bytes:
    packet = bytearray(_PACKETS[title])
    packet[at : at + len(new)] = new
    return bytes(packet)


def _reply(title: str, cut: int = 0, at: int = 0, new: bytes = b"") -> packets.ReplyPacket:
    packet = _changed(title, at, new)
    return packets.parse_reply(packet[:-cut] if cut else packet)


def _info(**changed: bencode.Value) -> bytes:
    value: dict[bytes, bencode.Value] = {b"length": 5, b"name": b"a", b"piece length": 9, b"pieces": b"h" * 20}
    value.update({key.replace("_", " ").encode(): item for key, item in changed.items()})
    return bencode.encode(value)


def _url(query: str) -> bytes:
    return url_data.pack_url_data(b"/announce?" + query.encode("ascii"))


def _message(identifier: int, payload: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(payload), identifier) + payload


def _read(stream: bytes) -> list[messages.Message]:
    return list(MessageReader(1024).feed(stream))


def _magnet(fields: str) -> metainfo.Magnet:
    return metainfo.parse_magnet(f"magnet:?{fields}")


_UNSORTED = b"d6:pieces20:" + b"h" * 20 + b"12:piece lengthi9e4:name1:a6:lengthi5ee"

REFUSALS: dict[str, Callable[[], object]] = {
    "file name: empty": lambda: names.check_file_name(""),
    "file name: a directory": lambda: names.check_file_name(".."),
    "file name: a path": lambda: names.check_file_name("../../etc/passwd"),
    "file name: a Windows path": lambda: names.check_file_name("a\\b"),
    "file name: NUL": lambda: names.check_file_name("a\0b"),
    "file name: control character": lambda: names.check_file_name("a\x1b[2Jb"),
    "file name: hidden direction": lambda: names.check_file_name("gpj.\u202eexe"),
    "file name: half a character": lambda: names.check_file_name("\ud800"),
    "file name: too long": lambda: names.check_file_name("x" * 256),
    "file name: no UTF-8": lambda: names.decode_file_name(b"\xc0\xae\xc0\xae"),
    "peer name: empty": lambda: names.check_peer_name(""),
    "peer name: a directory": lambda: names.check_peer_name("."),
    "peer name: a path": lambda: names.check_peer_name("a/b"),
    "peer name: a blank": lambda: names.check_peer_name("seeder 1"),
    "peer name: control character": lambda: names.check_peer_name("a\nb"),
    "peer name: too long": lambda: names.check_peer_name("p" * 65),
    "peer name: no UTF-8": lambda: names.decode_peer_name(b"caf\xe9"),
    "request: too short": lambda: packets.parse_head(bytes(15)),
    "reply: too short": lambda: packets.parse_reply(bytes(7)),
    "connect reply: too short": lambda: packets.parse_connect_reply(_reply("Connect reply", cut=1)),
    "announce: too short": lambda: packets.parse_announce(bytes(97)),
    "announce: unknown event": lambda: packets.parse_announce(
        _changed("Announce request: keep-alive", 80, b"\0\0\0\x05")
    ),
    "announce: port 0": lambda: packets.parse_announce(_changed("Announce request: keep-alive", 96, b"\0\0")),
    "announce: option cut short": lambda: url_data.parse_url_data(b"\x02\x05abc"),
    "announce: URL unreadable": lambda: url_data.parse_publication(_url("name=%FF")),
    "announce: bad file name": lambda: url_data.parse_publication(_url("name=..%2Fx")),
    "announce: bad size": lambda: url_data.parse_publication(_url("size=-1")),
    "announce: bad piece length": lambda: url_data.parse_publication(_url("piece=0")),
    "announce: too many pieces": lambda: url_data.parse_publication(_url("size=1048577&piece=1")),
    "announce reply: cut short": lambda: packets.parse_announce_reply(_reply("Announce reply", cut=1)),
    "scrape: nothing named": lambda: packets.parse_scrape(_PACKETS["Scrape request"][:16]),
    "scrape: too many": lambda: packets.parse_scrape(bytes(16 + 20 * 75)),
    "scrape reply: cut short": lambda: packets.parse_scrape_reply(_reply("Scrape reply", cut=1)),
    "look-up: too short": lambda: lookup.parse_lookup(_PACKETS["Look-up request"][:47]),
    "look-up: another version": lambda: lookup.parse_lookup(_changed("Look-up request", 16, b"\x02")),
    "look-up: name cut short": lambda: lookup.parse_lookup(_PACKETS["Look-up request"][:-1]),
    "look-up: bad file name": lambda: lookup.parse_lookup(_changed("Look-up request", 48, b"../../../x")),
    "look-up: bad peer name": lambda: lookup.parse_lookup(_changed("Look-up request", 58, b"leecher 1")),
    "look-up: port 0": lambda: lookup.parse_lookup(_changed("Look-up request", 44, b"\0\0")),
    "look-up reply: too short": lambda: lookup.parse_lookup_reply(_reply("Look-up reply: no such name", cut=1)),
    "look-up reply: size": lambda: lookup.parse_lookup_reply(_reply("Look-up reply", at=44, new=b"\x80")),
    "look-up reply: pieces": lambda: lookup.parse_lookup_reply(
        _reply("Look-up reply", at=44, new=struct.pack(">QI", 1 << 62, 16384))
    ),
    "look-up reply: holder missing": lambda: lookup.parse_lookup_reply(_reply("Look-up reply", at=66, new=b"\0\x03")),
    "look-up reply: holder cut short": lambda: lookup.parse_lookup_reply(_reply("Look-up reply", cut=1)),
    "possession: too short": lambda: possession.parse_possession(_PACKETS["Possession report"][:71]),
    "possession: window": lambda: possession.parse_possession(_changed("Possession report", 68, b"\0\0\0\x04")),
    "possession: bitfield's length": lambda: possession.parse_possession(_PACKETS["Possession report"] + b"\0"),
    "possession: spare bit": lambda: possession.parse_possession(_changed("Possession report", 72, b"\x01")),
    "possession: encoding": lambda: possession.parse_possession(_changed("Possession report", 17, b"\x02")),
    "possession: range cut short": lambda: possession.parse_possession(_PACKETS["Possession report: ranges"][:-1]),
    "possession: ranges overlap": lambda: possession.parse_possession(
        _changed("Possession report: ranges", 80, b"\0\0\0\x63")
    ),
    "possession reply: too short": lambda: possession.parse_possession_reply(_reply("Possession reply", cut=1)),
    "outcome: too short": lambda: outcome.parse_outcome(_PACKETS["Outcome"][:79]),
    "outcome: result": lambda: outcome.parse_outcome(_changed("Outcome", 17, b"\x03")),
    "outcome: source cut short": lambda: outcome.parse_outcome(_PACKETS["Outcome"][:90]),
    "outcome: reason cut short": lambda: outcome.parse_outcome(_PACKETS["Outcome"][:-1]),
    "outcome reply: too short": lambda: outcome.parse_outcome_reply(_reply("Outcome reply", cut=1)),
    "handshake: something else": lambda: handshake.parse_handshake(b"GET / HTTP/1.1".ljust(68)),
    "message: too long": lambda: _read(b"\xff\xff\xff\xff"),
    "message: length does not fit": lambda: _read(_message(4, b"\0\0\0")),
    "bitfield: length": lambda: piece_set.PieceSet.from_bitfield(10, b"\0"),
    "bitfield: spare bit": lambda: piece_set.PieceSet.from_bitfield(10, b"\0\x01"),
    "extension handshake: too long": lambda: extension_protocol.parse_extension_handshake(bytes(16385)),
    "extension handshake: not bencoded": lambda: extension_protocol.parse_extension_handshake(b"x"),
    "extension handshake: no dictionary": lambda: extension_protocol.parse_extension_handshake(b"le"),
    "metadata: not bencoded": lambda: extension_protocol.parse_metadata(b"x"),
    "metadata: no dictionary": lambda: extension_protocol.parse_metadata(b"le"),
    "metadata: no type": lambda: extension_protocol.parse_metadata(b"de"),
    "metadata: negative piece": lambda: extension_protocol.parse_metadata(b"d8:msg_typei0e5:piecei-1ee"),
    "info: too long": lambda: info.parse_info(bytes(info.MAX_INFO_SIZE + 1)),
    "info: not bencoded": lambda: info.parse_info(b"d"),
    "info: no dictionary": lambda: info.parse_info(b"le"),
    "info: several files": lambda: info.parse_info(_info(files=[])),
    "info: v2 only": lambda: info.parse_info(bencode.encode({b"meta version": 2, b"name": b"a", b"file tree": {}})),
    "info: large pieces": lambda: info.parse_info(_info(piece_length=256 << 20)),
    "info: no name": lambda: info.parse_info(_info(name=1)),
    "info: bad name": lambda: info.parse_info(_info(name=b"../x")),
    "info: no length": lambda: info.parse_info(_info(length=b"")),
    "info: negative length": lambda: info.parse_info(_info(length=-1)),
    "info: no hashes": lambda: info.parse_info(_info(pieces=1)),
    "info: too many pieces": lambda: info.parse_info(_info(length=1 << 62)),
    "info: hashes missing": lambda: info.parse_info(_info(length=50)),
    "bencode: cut short": lambda: bencode.decode(b"l"),
    "bencode: something behind": lambda: bencode.decode(b"i1ei2e"),
    "bencode: too many items": lambda: bencode.decode(b"l" + b"le" * 100_000),
    "bencode: nested too deep": lambda: bencode.decode(b"l" * 33),
    "bencode: end without a beginning": lambda: bencode.decode(b"e"),
    "bencode: key without a value": lambda: bencode.decode(b"d1:ae"),
    "bencode: key that is not a string": lambda: bencode.decode(b"di1ei2ee"),
    "bencode: key twice": lambda: bencode.decode(b"d1:ai1e1:ai2ee"),
    "bencode: string longer than its text": lambda: bencode.decode(b"5:abc"),
    "bencode: leading zero": lambda: bencode.decode(b"i01e"),
    "bencode: number without an end": lambda: bencode.decode(b"i1"),
    "torrent: not bencoded": lambda: metainfo.parse_torrent(b"hello"),
    "torrent: no info": lambda: metainfo.parse_torrent(b"d8:announce3:udpe"),
    "torrent: not canonical": lambda: metainfo.parse_torrent(b"d4:info" + _UNSORTED + b"e"),
    "magnet: another scheme": lambda: metainfo.parse_magnet("http://localhost/?xt=urn:btih:00"),
    "magnet: no UTF-8": lambda: _magnet("dn=%ff"),
    "magnet: no hash": lambda: _magnet("dn=a&xt=urn:sha1:00"),
    "magnet: a short hash": lambda: _magnet("dn=a&xt=urn:btih:0123"),
    "magnet: v2 only": lambda: _magnet(f"xt=urn:btmh:1220{'00' * 32}"),
    "magnet: a path": lambda: _magnet(f"xt=urn:btih:{'00' * 20}&dn=../a"),
}
