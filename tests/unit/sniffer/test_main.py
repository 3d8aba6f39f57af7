"""The sniffer on the loopback device of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from torrentnet.sniffer.packet_stream import RecordKind, RecordReader, SniffedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT: Final = 60.0
SIZE: Final = 5000
HEADERS: Final = 14 + 20 + 8


def _may_sniff() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _may_sniff(), reason="this user may not see packets (CAP_NET_RAW)")


class _Run:
    def __init__(self, *arguments: str) -> None:
        self._reader = RecordReader()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "torrentnet.sniffer", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._child.stdout is not None
        self._descriptor = self._child.stdout.fileno()

    def more(self) -> list[SniffedRecord]:
        data = os.read(self._descriptor, 1 << 20)
        return list(self._reader.feed(data)) if data else []

    def until(self, kind: RecordKind) -> list[SniffedRecord]:
        found: list[SniffedRecord] = []
        while not any(record.kind == kind for record in found):
            more = self.more()
            assert more, f"ended before {kind!r}: {found}"
            found += more
        return found

    def end(self) -> list[SniffedRecord]:
        assert self._child.stdin is not None
        self._child.stdin.close()
        return self.until(RecordKind.END)

    def close(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.kill()
        self._child.wait(TIMEOUT)
        self._child.stdin.close()
        self._child.stdout.close()


@contextmanager
def _sniffer(*arguments: str) -> Iterator[_Run]:
    run = _Run(*arguments)
    try:
        yield run
    finally:
        run.close()


def _send(target: str, port: int, count: int = 1) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((target, 0))
        for _ in range(count):
            sender.sendto(b"x" * SIZE, (target, port))


def _packets(records: list[SniffedRecord], port: int) -> list[SniffedRecord]:
    """Return the datagrams to a port: nobody else's."""
    wanted = port.to_bytes(2, "big")
    return [
        one for one in records if one.kind == RecordKind.PACKET and one.data[23] == 17 and one.data[36:38] == wanted
    ]


def test_each_packet_comes_once_with_its_first_bytes_and_its_true_length() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, _sniffer("lo", "64") as run:
        receiver.bind(("127.0.0.9", 0))
        port = receiver.getsockname()[1]
        run.until(RecordKind.READY)
        before = time.time_ns()
        _send("127.0.0.9", port, 3)
        found = _packets(run.end(), port)
    assert [(len(one.data), one.number) for one in found] == [(64, SIZE + HEADERS)] * 3
    assert all(before - 1_000_000_000 < one.time < time.time_ns() + 1_000_000_000 for one in found)


def test_only_the_wanted_addresses_are_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, _sniffer("lo", "64", "127.0.0.9") as run:
        receiver.bind(("", 0))
        port = receiver.getsockname()[1]
        run.until(RecordKind.READY)
        _send("127.0.0.8", port)
        _send("127.0.0.9", port)
        found = run.end()
    assert [one.data[26:30] for one in found if one.kind == RecordKind.PACKET] == [socket.inet_aton("127.0.0.9")]


def test_what_comes_too_fast_for_a_reader_is_counted() -> None:
    # The ring has 512 slots for whole frames, and nobody reads meanwhile.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, _sniffer("lo", "100000") as run:
        receiver.bind(("127.0.0.9", 0))
        port = receiver.getsockname()[1]
        run.until(RecordKind.READY)
        _send("127.0.0.9", port, 3000)
        found = run.end()
    lost = sum(one.number for one in found if one.kind == RecordKind.LOST)
    assert lost > 0
    # The device shows each packet twice.
    assert lost + 2 * len(_packets(found, port)) >= 3000


def test_a_device_that_does_not_exist_is_an_error_in_the_stream() -> None:
    with _sniffer("no-such-dev", "64") as run:
        (record,) = run.until(RecordKind.FAILED)
    assert b"No such device" in record.data or b"no interface" in record.data
