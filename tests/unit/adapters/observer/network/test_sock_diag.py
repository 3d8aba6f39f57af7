"""Byte counts of connections are read from the kernel's messages."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time

from hypothesis import given
from hypothesis import strategies as st

from torrentnet.adapters.observer.network.sock_diag import (
    CONNECTING,
    ConnectionSource,
    TcpConnection,
    TcpListener,
    parse_messages,
)
from torrentnet.wire.endpoint import Endpoint

LOCAL, REMOTE = Endpoint("198.18.0.2", 6881), Endpoint("198.18.0.3", 40_000)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def connection(*, mapped: bool = False, acked: int = 0, received: int = 0, sent: int = 0, again: int = 0) -> bytes:
    def address(ip: str) -> bytes:
        raw = socket.inet_aton(ip)
        return bytes(10) + b"\xff\xff" + raw if mapped else raw + bytes(12)

    ports = struct.pack(">HH", LOCAL.port, REMOTE.port)
    family = socket.AF_INET6 if mapped else socket.AF_INET
    head = struct.pack("=BBBB", family, 1, 0, 0) + ports + address(LOCAL.ip) + address(REMOTE.ip)
    head += struct.pack("=IIIIIIII", 0, 7, 1, 0, 0, 0, 10001, 4711)
    info = bytearray(280)
    struct.pack_into("=QQ", info, 120, acked, received)
    struct.pack_into("=QQ", info, 200, sent, again)
    odd = struct.pack("=HH", 5, 99) + b"x" + bytes(3)
    return message(20, head + odd + struct.pack("=HH", 4 + len(info), 2) + bytes(info))


def test_a_connection_has_its_bytes_without_syn_and_fin() -> None:
    found = list(parse_messages(connection(acked=1002, received=51, sent=1500, again=500) + message(3, bytes(4))))
    assert found == [TcpConnection(7 | 1 << 32, LOCAL, REMOTE, 51, 1000, 1, 10001, 4711), None]


def test_bytes_that_are_not_acknowledged_do_not_count() -> None:
    assert [one.sent for one in parse_messages(connection(acked=300, sent=1000)) if isinstance(one, TcpConnection)] == [
        300
    ]


def test_ipv4_in_ipv6_form_is_ipv4() -> None:
    found = next(iter(parse_messages(connection(mapped=True))))
    assert isinstance(found, TcpConnection)
    assert (found.local, found.remote) == (LOCAL, REMOTE)


def test_an_error_is_a_number() -> None:
    assert list(parse_messages(message(2, struct.pack("=i", -errno.ENOENT) + bytes(16)))) == [errno.ENOENT]


@given(st.integers(0, 420), st.binary(max_size=40))
def test_a_message_that_is_cut_short_or_broken_is_passed_over(cut: int, garbage: bytes) -> None:
    list(parse_messages(connection()[:cut] + garbage))
    list(parse_messages(garbage))


def move(server: socket.socket, up: int, down: int) -> tuple[socket.socket, socket.socket]:
    here = socket.create_connection(server.getsockname())
    there, _ = server.accept()
    for sender, receiver, size in ((here, there, up), (there, here, down)):
        sender.sendall(bytes(size))
        left = size
        while left:
            left -= len(receiver.recv(left))
    return here, there


def test_connections_of_this_machine_are_counted_to_the_byte() -> None:
    source = ConnectionSource()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        here, there = move(server, 1000, 5000)
        open_ = [one for one in source.existing() if port in {one.local.port, one.remote.port}]
        assert {(one.local.port == port, one.received, one.sent) for one in open_} == {
            (True, 1000, 5000),
            (False, 5000, 1000),
        }
        listener = TcpListener(Endpoint("127.0.0.1", port), os.getuid(), os.fstat(server.fileno()).st_ino)
        assert listener in source.listening()
        here.close()
        there.close()
    ended: list[TcpConnection] = []
    deadline = time.monotonic() + 30
    while len(ended) < 2 and time.monotonic() < deadline:
        ended += [one for one in source.ended() if port in {one.local.port, one.remote.port}]
    source.close()
    assert {one.cookie for one in ended} == {one.cookie for one in open_}
    assert {(one.local.port == port, one.sent) for one in ended} == {(True, 5000), (False, 1000)}


def test_a_call_that_nobody_answers_is_seen() -> None:
    source = ConnectionSource()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        # The queue of the server is full after one connection; the SYN of another one is dropped.
        callers = [stack.enter_context(socket.socket()) for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        port = server.getsockname()[1]
        calls = [one for one in source.existing() if one.remote.port == port and one.state == CONNECTING]
        assert callers[-1].getsockname()[1] in {one.local.port for one in calls}
    source.close()
