"""docs/torrentnet.lua in a real tshark.

The captures are made of the packets of docs/protocol.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.unit.wire import page
from tests.unit.wire.pcap import Datagram, Segment, write_capture
from torrentnet.wire.udp import url_data
from torrentnet.wire.udp.packets import AnnounceRequest, pack_announce, pack_connect, pack_connect_reply

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = page.PAGE.parent / "torrentnet.lua"
TSHARK = shutil.which("tshark")
TRACKER = ("198.18.0.2", 6771)
PEER = ("198.18.0.4", 50000)
EXAMPLES = {example.title: example for example in page.examples()}
TRACKER_TITLES = list(EXAMPLES)[: list(EXAMPLES).index("Handshake")]

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (Debian package: tshark)")


@pytest.fixture(scope="module", autouse=True)
def runs_scripts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip the module where tshark silently loads no scripts.

    Newer versions load no scripts for root.
    """
    folder = tmp_path_factory.mktemp("tshark")
    write_capture(folder / "one.pcap", [_datagram("Connect request", EXAMPLES["Connect request"].packet)])
    loaded = any("TorrentNet" in line for line in _tshark(folder / "one.pcap", folder, "-V"))
    if not loaded and os.geteuid() == 0:
        pytest.skip("this tshark runs no Lua scripts for root")
    assert loaded


def _is_request(title: str) -> bool:
    return title.split(":", maxsplit=1)[0].endswith(("request", "report", "Outcome"))


def _datagram(title: str, payload: bytes, tracker: tuple[str, int] = TRACKER) -> Datagram:
    return Datagram(PEER, tracker, payload) if _is_request(title) else Datagram(tracker, PEER, payload)


def _tshark(capture: Path, home: Path, *arguments: str) -> list[str]:
    assert TSHARK is not None
    done = subprocess.run(
        [TSHARK, "-n", "-X", f"lua_script:{SCRIPT}", "-r", str(capture), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    assert "lua" not in done.stderr.lower(), done.stderr
    assert "Lua Error" not in done.stdout, done.stdout
    return done.stdout.splitlines()


def _fields(capture: Path, home: Path, *names: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    arguments = [argument for name in names for argument in ("-e", name)]
    lines = _tshark(capture, home, *options, "-T", "fields", "-E", "separator=|", *arguments)
    return [line.split("|") for line in lines]


def _last(field: str) -> str:
    return field.rsplit(".", maxsplit=1)[-1].split("[", maxsplit=1)[0]


def _shown(row: page.Row) -> str:
    """Return the value of the page's row as ``tshark -T fields`` prints it."""
    name = _last(row.field)
    value = row.value
    if name == "ip":
        return "0.0.0.0"
    if name in {"info_hash", "peer_id"}:
        return row.raw.hex()
    if isinstance(value, int) and name in {"action", "transaction_id", "key"}:
        return f"0x{value:08x}"
    if isinstance(value, int) and name in {"connection_id", "protocol_id"}:
        return f"0x{value:016x}"
    if isinstance(value, int) and name in {"flags", "reserved"}:
        return f"0x{value:0{int(row.size) * 2}x}"
    return str(value)


def _name(row: page.Row, title: str) -> str:
    """Return the dissector's name for the page's row.

    The name is without list and number, and people's names are ``peer``.
    """
    name = _last(row.field)
    if "." in row.field and name == "name":
        return "peer"
    return "bitfield" if title == "Possession report" and name == "held" else name


@pytest.mark.parametrize("title", TRACKER_TITLES)
def test_every_field_of_the_page_is_shown_with_its_value(title: str, tmp_path: Path) -> None:
    example = EXAMPLES[title]
    write_capture(tmp_path / "one.pcap", [_datagram(title, example.packet)])
    wanted: dict[str, list[str]] = {}
    for row in example.rows:
        name = _name(row, title)
        shown = row.raw.hex() if name == "bitfield" else _shown(row)
        wanted.setdefault(f"torrentnet.{name}", []).append(shown)
    (values,) = _fields(tmp_path / "one.pcap", tmp_path, *wanted)
    assert dict(zip(wanted, (value.split(",") for value in values), strict=True)) == wanted


def test_the_list_of_packets_reads_as_a_conversation(tmp_path: Path) -> None:
    write_capture(tmp_path / "all.pcap", [_datagram(title, EXAMPLES[title].packet) for title in TRACKER_TITLES])
    rows = _fields(tmp_path / "all.pcap", tmp_path, "_ws.col.Protocol", "_ws.col.Info")
    assert {protocol for protocol, _ in rows} == {"TorrentNet"}
    assert [info for _, info in rows] == [
        "connect",
        "connect reply",
        'announce: started "myfile.txt"',
        'announce: none (keep-alive) "myfile.txt"',
        "announce: started",
        "announce reply: 2 seeders, 1 leechers, again in 5 s",
        "scrape",
        "scrape reply",
        "error: connection id refused: connect again",
        'look-up: "myfile.txt" for leecher-1',
        "look-up reply: request 1, 2 complete, 0 incomplete",
        "look-up reply: request 2, no such name",
        "possession: 0-1 (2 of 3)",
        "possession: 0-99, 200-4095 (3996 of 4096)",
        "possession reply: 2 pieces known",
        "outcome: request 1 failed, no seed left",
        "outcome reply: request 1 is closed",
    ]


def test_replies_and_repeats_point_to_their_request(tmp_path: Path) -> None:
    lookup, reply = EXAMPLES["Look-up request"].packet, EXAMPLES["Look-up reply"].packet
    packets = [Datagram(PEER, TRACKER, lookup), Datagram(PEER, TRACKER, lookup), Datagram(TRACKER, PEER, reply)]
    stranger = Datagram(TRACKER, ("198.18.0.9", 50000), reply)
    write_capture(tmp_path / "repeat.pcap", [*packets, stranger])
    rows = _fields(tmp_path / "repeat.pcap", tmp_path, "torrentnet.repeat_of", "torrentnet.request_in")
    assert rows == [["", ""], ["1", ""], ["", "1"], ["", ""]]


@pytest.mark.parametrize("port", [7000, 52611])
def test_a_conversation_on_any_port_is_found_by_its_connect(port: int, tmp_path: Path) -> None:
    tracker = ("198.18.0.2", port)
    titles = TRACKER_TITLES[:6]
    write_capture(tmp_path / "any.pcap", [_datagram(title, EXAMPLES[title].packet, tracker) for title in titles])
    rows = _fields(tmp_path / "any.pcap", tmp_path, "_ws.col.Protocol")
    assert rows == [["TorrentNet"]] * len(titles)


def test_a_port_can_be_named_when_the_connect_is_missing(tmp_path: Path) -> None:
    packet = EXAMPLES["Announce request: keep-alive"].packet
    write_capture(tmp_path / "late.pcap", [Datagram(PEER, ("198.18.0.2", 7000), packet)])
    assert _fields(tmp_path / "late.pcap", tmp_path, "_ws.col.Protocol") == [["UDP"]]
    options = ("-o", "torrentnet.ports:6771,7000")
    assert _fields(tmp_path / "late.pcap", tmp_path, "_ws.col.Protocol", options=options) == [["TorrentNet"]]


def test_other_udp_is_left_alone(tmp_path: Path) -> None:
    payloads = [b"", b"\0" * 7, b"hello, this is no tracker's packet at all", b"\xff" * 100]
    payloads += [EXAMPLES["Announce reply"].packet, EXAMPLES["Outcome"].packet[:16] + b"\x02" * 64]
    write_capture(tmp_path / "other.pcap", [Datagram(PEER, ("198.18.0.2", 9999), payload) for payload in payloads])
    assert all(
        protocol != "TorrentNet" for (protocol,) in _fields(tmp_path / "other.pcap", tmp_path, "_ws.col.Protocol")
    )


def test_damaged_packets_cause_no_lua_error(tmp_path: Path) -> None:
    packets: list[Datagram] = []
    for title in TRACKER_TITLES:
        packet = EXAMPLES[title].packet
        packets += [_datagram(title, packet[:size]) for size in range(len(packet))]
        packets += [_datagram(title, packet[:at] + b"\xff" + packet[at + 1 :]) for at in range(len(packet))]
    write_capture(tmp_path / "bent.pcap", packets)
    lines = _tshark(tmp_path / "bent.pcap", tmp_path, "-V", "-O", "torrentnet")
    assert sum(line.startswith("Frame ") for line in lines) == len(packets)
    write_capture(tmp_path / "cut.pcap", [_datagram("Look-up request", EXAMPLES["Look-up request"].packet[:60])])
    assert any("Packet ends too early" in line for line in _tshark(tmp_path / "cut.pcap", tmp_path, "-V"))


def test_a_url_in_several_options_is_joined_and_decoded(tmp_path: Path) -> None:
    name = "Ünï cöde " + "x" * 220
    options = (
        b"\x01" + url_data.pack_publication(url_data.Publication(name=name, peer="seeder-1")) + b"\x80\x01z\x00\x02"
    )
    packet = pack_announce(AnnounceRequest(1 << 48, 9, bytes(20), bytes(20), 0, 0, 0, 2, 0, 0, -1, 6881, options))
    write_capture(tmp_path / "long.pcap", [Datagram(PEER, TRACKER, packet)])
    rows = _fields(tmp_path / "long.pcap", tmp_path, "torrentnet.name", "torrentnet.peer", "torrentnet.option")
    assert rows == [[name, "seeder-1", "1,2,2,128,0"]]


def test_a_display_filter_of_the_page_finds_its_packets(tmp_path: Path) -> None:
    packets = [_datagram(title, EXAMPLES[title].packet) for title in TRACKER_TITLES]
    packets.append(Datagram(TRACKER, PEER, b"\0\0\0\x03\0\0\0\x07unknown peer: announce again"))
    stopped = bytearray(EXAMPLES["Announce request: keep-alive"].packet)
    stopped[83] = 3
    packets.append(Datagram(PEER, TRACKER, bytes(stopped)))
    block = Segment(PEER, ("198.18.0.7", 6881), 1, EXAMPLES["Handshake"].packet)
    piece = Segment(PEER, ("198.18.0.7", 6881), 69, EXAMPLES["Piece"].packet)
    write_capture(tmp_path / "all.pcap", [*packets, block, piece])
    filters = [row[0].strip("`") for row in page.table_below("Capture and read packets")]
    assert len(filters) == 6
    found = {
        text: [int(line) for (line,) in _fields(tmp_path / "all.pcap", tmp_path, "frame.number", options=("-Y", text))]
        for text in filters
    }
    assert list(found.values()) == [[10, 11, 12], [3, 4, 10, 19], [19], [18], [10, 11], [21]]


def test_a_connect_alone_is_recognized(tmp_path: Path) -> None:
    packets = [Datagram(PEER, ("198.18.0.2", 1234), pack_connect(5))]
    packets.append(Datagram(("198.18.0.2", 1234), PEER, pack_connect_reply(5, 0x10000 << 32)))
    write_capture(tmp_path / "pair.pcap", packets)
    rows = _fields(tmp_path / "pair.pcap", tmp_path, "torrentnet.connection_id", "torrentnet.request_in")
    assert rows == [["", ""], ["0x0001000000000000", "1"]]
