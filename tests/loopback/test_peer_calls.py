"""A new seed connects to the waiting leechers, and to no other seed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.loopback.programs import make_file
from torrentnet.wire.peer.handshake import HANDSHAKE_SIZE, Handshake, pack_handshake, parse_handshake
from torrentnet.wire.peer.message_reader import MessageReader
from torrentnet.wire.peer.messages import HaveAll
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.packets import AnnounceEvent, AnnounceRequest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback.programs import Loopback
    from torrentnet.wire.peer.messages import Message

DEADLINE_S = 60.0
WAITING = b"-XX0000-who-waits---"


def ask(link: socket.socket, data: bytes) -> packets.ReplyPacket:
    for _ in range(40):
        link.send(data)
        try:
            return packets.parse_reply(link.recv(2048))
        except TimeoutError:
            continue
    raise AssertionError("the tracker does not answer")


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, "closed"
        data += more
    return data


def test_a_new_seed_connects_to_a_waiting_client(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 1 << 20)
    tracker = loopback.tracker("--keepalive", "5s", "--timeout", "20s")
    before = loopback.share(source, tracker)
    info_hash = bytes.fromhex(before.until("published")["info_hash"])
    before.end()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(type=socket.SOCK_DGRAM) as link:
        host, port = tracker.address.split(":")
        link.connect((host, int(port)))
        link.settimeout(0.5)
        connection = packets.parse_connect_reply(ask(link, packets.pack_connect(1)))
        own = listener.getsockname()[1]
        ask(
            link,
            packets.pack_announce(
                AnnounceRequest(
                    connection, 2, info_hash, WAITING, 0, 1 << 20, 0, AnnounceEvent.STARTED, 0, 7, 50, own, b""
                )
            ),
        )
        loopback.share(source, tracker)
        listener.settimeout(DEADLINE_S)
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(DEADLINE_S)
            assert parse_handshake(receive_exactly(sock, HANDSHAKE_SIZE)).info_hash == info_hash
            sock.sendall(pack_handshake(Handshake(info_hash, WAITING)))
            reader = MessageReader(1 << 20)
            received: list[Message] = []
            while not received:
                received = list(reader.feed(sock.recv(4096)))
            assert isinstance(received[0], HaveAll)


def test_seeds_do_not_connect_to_each_other(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 1 << 20)
    tracker = loopback.tracker("--keepalive", "200ms", "--timeout", "20s")
    first, second = (loopback.share(source, tracker, "--name", name) for name in ("first", "second"))
    # While a leecher is served, the seeds have time to connect to each other.
    loopback.get("myfile.txt", tracker, tmp_path / "there", "--name", "leecher").until("completed")
    for seed in (first, second):
        status, lines, _ = loopback.ask(seed, "status")
        assert status == 0
        assert [line.split()[1] for line in lines if line.startswith("serving")] == ["0"]
