"""The layouts of netlink messages.

They are compared with bytes written by hand from linux/netfilter/nfnetlink_queue.h.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.shaper.netlink import (
    NetlinkFormatError,
    NetlinkReply,
    PacketVerdict,
    QueuedPacket,
    configure_queue,
    decode,
    describe_error,
    pack_verdict,
)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes, sequence: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body


def packet(queue: int, number: int, *more: bytes) -> bytes:
    header = attribute(1, struct.pack("!IHB", number, 0x0800, 1))
    return message(0x0300, struct.pack("!BBH", 2, 0, queue) + header + b"".join(more))


def test_bind_requests_numbers_and_whole_segments() -> None:
    body = (
        bytes([0, 0, 0x12, 0x34])
        + struct.pack("=HH", 8, 1)
        + bytes([1, 0, 0, 2])
        + struct.pack("=HH", 9, 2)
        + bytes([0, 0, 0, 0, 1, 0, 0, 0])
        + struct.pack("=HH", 8, 3)
        + bytes([0, 0, 0x40, 0])
        + struct.pack("=HH", 8, 4)
        + bytes([0, 0, 0, 4])
        + struct.pack("=HH", 8, 5)
        + bytes([0, 0, 0, 4])
    )
    wanted = struct.pack("=IHHII", 16 + len(body), 0x0302, 5, 77, 0) + body
    assert configure_queue(0x1234, 77, bind=True, copy=False, max_waiting=16384) == wanted


def test_a_change_to_copying_requests_bytes_and_single_segments() -> None:
    asked = configure_queue(5, 1, bind=False, copy=True, max_waiting=1)
    assert attribute(2, struct.pack("!IB", 0xFFFF, 2)) in asked
    assert attribute(5, struct.pack("!I", 0)) in asked
    assert attribute(1, bytes([1, 0, 0, 2])) not in asked


def test_no_request_lets_the_kernel_fail_open() -> None:
    for copy in (False, True):
        asked = configure_queue(1, 1, bind=True, copy=copy, max_waiting=1)
        assert attribute(4, struct.pack("!I", 4)) in asked


def test_verdict() -> None:
    body = struct.pack("!BBH", 0, 0, 7) + attribute(2, struct.pack("!II", 1, 99))
    assert pack_verdict(7, 99, PacketVerdict.ACCEPT) == struct.pack("=IHHII", 16 + len(body), 0x0301, 1, 0, 0) + body


def test_verdict_with_other_bytes_is_padded() -> None:
    sent = pack_verdict(7, 99, PacketVerdict.ACCEPT, b"abcde")
    assert sent.endswith(attribute(10, b"abcde"))
    assert len(sent) % 4 == 0
    assert struct.unpack_from("=I", sent)[0] == len(sent)


def test_one_receive_holds_packets_and_replies() -> None:
    stamp = attribute(4, struct.pack("!QQ", 1_700_000_000, 250))
    data = (
        packet(3, 8, stamp)
        + packet(65535, 9, attribute(10, b"\x45abcd"))
        + message(2, struct.pack("=i", -16), 5)
        + message(3, b"")  # NLMSG_DONE: nothing for us
    )
    assert list(decode(data)) == [
        QueuedPacket(3, 8, 1_700_000_000_000_250_000, None),
        QueuedPacket(65535, 9, None, b"\x45abcd"),
        NetlinkReply(16, 5),
    ]


def test_every_truncation_is_refused_or_omits_the_message() -> None:
    whole = packet(3, 8, attribute(10, b"payload"))
    for size in range(len(whole)):
        try:
            assert list(decode(whole[:size])) == []
        except NetlinkFormatError:
            assert size >= 16


def test_a_packet_without_its_number_is_refused() -> None:
    body = packet(3, 8)[16:]
    for size in range(len(body) - 1):  # the last byte only fills up
        with pytest.raises(NetlinkFormatError):
            list(decode(message(0x0300, body[:size])))


@given(st.binary(max_size=200), st.sampled_from([2, 0x0300, 0x0301]))
def test_garbage_raises_only_the_documented_error(garbage: bytes, kind: int) -> None:
    for data in (garbage, message(kind, garbage)):
        try:
            list(decode(data))
        except NetlinkFormatError:
            continue


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (16, "another program has bound this queue"),
        (1, "not permitted: it needs CAP_NET_ADMIN (docker exec --privileged -u 0)"),
        (22, "the kernel has no NFQUEUE (nfnetlink_queue)"),
        (12, "ENOMEM"),
        (9999, "9999"),
    ],
)
def test_errors_are_described(error: int, text: str) -> None:
    assert describe_error(error) == text
