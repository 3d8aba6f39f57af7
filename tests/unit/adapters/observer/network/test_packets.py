"""Packets are captured by a filter in the kernel, and parsed."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.adapters.observer.network.packets import ACK, FIN, SYN, TCP, UDP, Packet, PacketCapture, parse_packet
from torrentnet.wire.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = Endpoint("198.18.0.2", 6881), Endpoint("198.18.0.3", 6771)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to capture packets")


def ip(protocol: int, body: bytes, *, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    total = words * 4 + len(body)
    addresses = socket.inet_aton(HERE.ip) + socket.inet_aton(THERE.ip)
    return struct.pack(">BxHHHBBH", 0x40 | words, total, 0, 0, 64, protocol, 0) + addresses + options + body


def tcp(flags: int, payload: bytes, sequence: int = 7) -> bytes:
    return struct.pack(">HHIIBBHHH", *(HERE.port, THERE.port), sequence, 0, 6 << 4, flags, 0, 0, 0) + bytes(4) + payload


def test_a_datagram_is_parsed() -> None:
    raw = ip(UDP, struct.pack(">HHHH", HERE.port, THERE.port, 11, 0) + b"abc", options=bytes(8))
    assert parse_packet(raw + b"padding", outgoing=True) == Packet(UDP, True, HERE, THERE, b"abc", 3)


def test_a_segment_is_parsed() -> None:
    raw = ip(TCP, tcp(FIN | ACK, b"words"))
    assert parse_packet(raw, outgoing=False) == Packet(TCP, False, HERE, THERE, b"words", 5, FIN | ACK, 7)


def test_the_first_fragment_tells_the_whole_length() -> None:
    raw = ip(UDP, struct.pack(">HHHH", HERE.port, THERE.port, 3008, 0) + bytes(100))
    found = parse_packet(raw, outgoing=True)
    assert found is not None
    assert (len(found.payload), found.length) == (100, 3000)


@given(st.binary(max_size=80), st.integers(0, 60))
def test_any_bytes_are_a_packet_or_none(garbage: bytes, cut: int) -> None:
    parse_packet(garbage, outgoing=True)
    parse_packet(ip(TCP, tcp(SYN, b""))[:cut], outgoing=True)
    parse_packet(ip(UDP, garbage), outgoing=True)
    parse_packet(ip(TCP, garbage), outgoing=True)


@pytest.fixture
def capture() -> Iterator[PacketCapture]:
    """A capture of this machine's loopback interface."""
    capture = PacketCapture(shared=True)
    yield capture
    capture.close()


def seen(capture: PacketCapture, port: int, until: bytes) -> list[Packet]:
    """Return the packets of a port up to a datagram with this payload."""
    found: list[Packet] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            packet = capture.read()
        except BlockingIOError:
            time.sleep(0.01)
            continue
        if packet is not None and port in {packet.source.port, packet.target.port}:
            if packet.payload == until:
                return found
            found.append(packet)
    raise AssertionError("the last datagram was not seen")


@root_only
def test_the_filter_passes_datagrams_and_the_ends_of_connections(capture: PacketCapture) -> None:
    capture.set_filter(datagrams=True, words=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", address)
            with socket.create_connection(address) as here, server.accept()[0] as there:
                here.sendall(b"not of interest")
                there.recv(100)
            sender.sendto(b"last", address)
    found = seen(capture, address[1], b"last")
    assert [packet.payload for packet in found if packet.protocol == UDP] == [b"hello"]
    flags = [packet.flags & (SYN | FIN) for packet in found if packet.protocol == TCP]
    assert sorted(flags) == [FIN, FIN, SYN, SYN]


@root_only
def test_a_filter_can_be_changed(capture: PacketCapture) -> None:
    capture.set_filter(datagrams=True, words=False)
    capture.set_filter(datagrams=False, words=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.sendto(b"unseen", receiver.getsockname())
        capture.set_filter(datagrams=True, words=False)
        receiver.sendto(b"last", receiver.getsockname())
        assert not seen(capture, receiver.getsockname()[1], b"last")
    assert capture.lost() == 0
