"""Garbage is repeatable, and a replayed message has another name in it."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from torrentnet.adapters.observer import probes
from torrentnet.console.commands import CommandError
from torrentnet.wire.endpoint import Endpoint

OLD, NEW = b"my file.txt", b"../x"


@pytest.mark.parametrize(
    ("words", "replaced"),
    [
        (b'{"file": "my file.txt"}', b'{"file": "../x"}'),
        (b"GET my file.txt\nmy file.txt", b"GET ../x\n../x"),
        (struct.pack(">H", 11) + OLD + b"!", struct.pack(">H", 4) + NEW + b"!"),
        (struct.pack("<I", 11) + OLD, struct.pack("<I", 4) + NEW),
        (b"\x01\x0b" + OLD, b"\x01\x04" + NEW),
        (b"4:name11:" + OLD, b"4:name4:" + NEW),
        (b"111:" + OLD, b"111:" + NEW),
        (b"no name", b"no name"),
    ],
)
def test_the_name_and_its_length_are_replaced(words: bytes, replaced: bytes) -> None:
    assert probes.with_name(words, OLD, NEW) == replaced


def test_garbage_is_the_same_for_a_seed() -> None:
    first = list(probes.garbage(12, 1))
    assert first == list(probes.garbage(12, 1))
    assert first != list(probes.garbage(12, 2))
    assert b"" in first
    assert max(map(len, first)) <= probes.GARBAGE_BYTES


def test_garbage_arrives() -> None:
    ports: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        assert probes.send_garbage(Endpoint(*receiver.getsockname()), 3, 0, ports.append) == 3
        found = [receiver.recvfrom(2000) for _ in range(3)]
    assert [data for data, _ in found] == list(probes.garbage(3, 0))
    assert {sender[1] for _, sender in found} == set(ports)


def test_too_much_garbage_is_refused() -> None:
    with pytest.raises(CommandError, match="the count is a number from 1 to 1000"):
        probes.send_garbage(Endpoint("127.0.0.1", 9), 1001, 0, lambda _: None)


def test_a_datagram_is_replayed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)

        def answer() -> None:
            data, sender = server.recvfrom(2000)
            server.sendto(b"no " + data, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        answers = probes.replay_datagram(Endpoint(*server.getsockname()), b"GET ../x", lambda _: None)
        thread.join()
    assert [one.data for one in answers] == [b"no GET ../x"]
    assert answers[0].row()["text"] == "no GET ../x"


def test_words_are_replayed_one_after_the_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(2):
                    connection.sendall(connection.recv(100).upper())

        thread = threading.Thread(target=serve)
        thread.start()
        answers = probes.replay_connection(Endpoint(*server.getsockname()), [b"hello", b"get"], lambda _: None)
        thread.join()
    assert [one.data for one in answers] == [b"HELLO", b"GET"]


def test_nobody_who_listens_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Endpoint(*server.getsockname())
    with pytest.raises(CommandError, match=f"cannot connect to {target}: connection refused"):
        probes.replay_connection(target, [b"x"], lambda _: None)
