"""Floods, crowds and silence, and what the others still get."""

from __future__ import annotations

import os
import resource
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.hostile.peer.rig import DEADLINE_S, FakeSeed, LyingTracker, Wire, info_for, requests, welcome
from tests.loopback.programs import ANYWHERE, PEER, make_file
from torrentnet.peer.transfer.connection_manager import MAX_PER_IP
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake, pack_extension_handshake
from torrentnet.wire.peer.handshake import Handshake, pack_handshake
from torrentnet.wire.peer.messages import (
    AllowedFast,
    Bitfield,
    Block,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    Port,
    Reject,
    Request,
    Suggest,
    Unchoke,
    pack,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback.programs import Loopback, Program

PIECES = 8
PIECE = 32 * 1024
SIZE = PIECES * PIECE
BLOCK = 16 * 1024

FLOODS: list[Message] = [
    KeepAlive(),
    Choke(),
    Interested(),
    NotInterested(),
    Have(0),
    Bitfield(b"\x00"),
    Cancel(0, 0, BLOCK),
    Port(6881),
    Suggest(0),
    HaveAll(),
    HaveNone(),
    Reject(0, 0, BLOCK),
    AllowedFast(0),
    Request(PIECES, 0, BLOCK),
    Extended(0, pack_extension_handshake(ExtensionHandshake(1))),
    Extended(99, b"?"),
]


def peer_id(number: int) -> bytes:
    """Return an id of its own for each connection."""
    return b"-XX0000-%012d" % number


def share(loopback: Loopback, tmp_path: Path, *options: object) -> tuple[Program, bytes]:
    """Start a seed of a file with eight pieces; return it with the info-hash."""
    source = make_file(tmp_path / "myfile.txt", SIZE)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--piece-length", "32KiB", *options)
    return seed, bytes.fromhex(seed.until("published")["info_hash"])


def serves(seed: Program, info_hash: bytes, data: bytes) -> bool:
    """Return whether a new client gets the first block."""
    with Wire.greet(seed, info_hash, peer_id(999_999)) as wire:
        wire.say(Interested(), Request(0, 0, BLOCK))
        return bytes(wire.until(Block).data) == data[:BLOCK]


def test_each_flood_ends_its_own_connection(loopback: Loopback, tmp_path: Path) -> None:
    seed, info_hash = share(loopback, tmp_path)
    data = (tmp_path / "myfile.txt").read_bytes()
    for number, message in enumerate(FLOODS):
        with Wire.greet(seed, info_hash, peer_id(number)) as wire:
            assert wire.flood(pack(message) * 1_000, 30), message
    assert serves(seed, info_hash, data)
    assert seed.errors == []


@pytest.mark.parametrize("strategy", ["single", "swarm"])
def test_a_source_that_floods_is_left(loopback: Loopback, liar: LyingTracker, tmp_path: Path, strategy: str) -> None:
    _, info = info_for(SIZE)

    def serve(wire: Wire) -> None:
        welcome(wire, info)
        next(requests(wire, info))
        wire.flood(pack(KeepAlive()) * 1_000, 100)

    with FakeSeed(serve) as seed:
        liar.lists(info, seed)
        options = ("--strategy", strategy, "--give-up", "2s")
        leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, *options)
        assert "floods this peer with messages" in leecher.until("source_lost")["reason"]


def test_early_have_messages_take_little_memory(loopback: Loopback, liar: LyingTracker, tmp_path: Path) -> None:
    """The leecher does not know the number of pieces yet."""
    _, info = info_for(SIZE)
    liar.lists(info)
    options = ("--strategy", "swarm", "--give-up", "30s")

    def silent(wire: Wire) -> None:
        wire.receive_handshake()
        wire.raw(pack_handshake(Handshake(info.info_hash, peer_id(1))))
        for _ in wire.messages():
            pass

    with FakeSeed(silent) as seed, ExitStack() as stack:
        liar.lists(info, seed)
        leecher = loopback.start(PEER, "get", "myfile.txt", liar.address, ANYWHERE, "--dir", tmp_path, *options)
        leecher.until("lookup")
        before = memory_of(leecher)
        haves = b"".join(struct.pack(">IBI", 5, 4, piece) for piece in range(60_000))
        for number in range(4):
            wire = stack.enter_context(Wire.greet(leecher, info.info_hash, peer_id(10 + number)))
            wire.raw(haves)
            # The peer has read all that came before the answer.
            wire.say(Interested())
            wire.until(Unchoke)
        assert memory_of(leecher) - before < 8 * 1024 * 1024
        leecher.process.terminate()
        assert leecher.wait() == 0


def memory_of(program: Program) -> int:
    """Return the resident bytes of a process."""
    with open(f"/proc/{program.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_far_more_requests_than_announced_are_all_answered(loopback: Loopback, tmp_path: Path) -> None:
    """rTorrent has 882 requests open, without BEP 6, on a slow link too."""
    seed, info_hash = share(loopback, tmp_path, "--upload-rate", "2MiB/s")
    size, count = 1_000, 5_000
    with Wire.greet(seed, info_hash, fast=False) as wire:
        wire.say(Interested())
        wire.say(*(Request(number % PIECES, 0, size) for number in range(count)))
        answers = 0
        for message in wire.messages():
            answers += isinstance(message, Block)
            if answers == count:
                break
        assert answers == count


def test_a_second_connection_of_one_peer_is_closed(loopback: Loopback, tmp_path: Path) -> None:
    seed, info_hash = share(loopback, tmp_path)
    with Wire.greet(seed, info_hash, peer_id(1)) as first:
        for _ in range(4):
            with Wire.connect(seed) as again:
                again.raw(pack_handshake(Handshake(info_hash, peer_id(1))))
                assert again.is_closed()
        first.say(Interested(), Request(0, 0, BLOCK))
        first.until(Block)


def test_silent_connections_make_room(loopback: Loopback, tmp_path: Path) -> None:
    """One half has sent no handshake, the other half only keep-alives."""
    seed, info_hash = share(loopback, tmp_path)
    data = (tmp_path / "myfile.txt").read_bytes()
    silent = [Wire.connect(seed) for _ in range(MAX_PER_IP // 2)]
    silent += [Wire.greet(seed, info_hash, peer_id(number)) for number in range(MAX_PER_IP // 2)]
    for wire in silent[MAX_PER_IP // 2 :]:
        wire.say(KeepAlive())
    end = time.monotonic() + DEADLINE_S
    while not is_admitted(seed, info_hash):
        # Refused as long as all the others are new.
        assert time.monotonic() < end
        time.sleep(0.2)
    assert serves(seed, info_hash, data)
    for wire in silent:
        wire.sock.close()


def is_admitted(seed: Program, info_hash: bytes) -> bool:
    """Return whether a new connection is answered."""
    with Wire.connect(seed) as wire:
        try:
            wire.raw(pack_handshake(Handshake(info_hash, peer_id(777))))
            wire.receive_handshake()
        except (AssertionError, OSError):
            return False
    return True


def test_a_seed_out_of_descriptors_says_so_and_recovers(loopback: Loopback, tmp_path: Path) -> None:
    seed, info_hash = share(loopback, tmp_path)
    data = (tmp_path / "myfile.txt").read_bytes()
    used = len(list(os.scandir(f"/proc/{seed.process.pid}/fd")))
    resource.prlimit(seed.process.pid, resource.RLIMIT_NOFILE, (used + 3, used + 3))
    wires = [Wire.connect(seed) for _ in range(8)]
    seed.until("out_of_descriptors")
    ticks = cpu_ticks(seed)
    seed.until("out_of_descriptors", count=3)
    # Two seconds have passed: it once accepted 18,000 times in each, and found no descriptor.
    assert cpu_ticks(seed) - ticks < 50
    for wire in wires:
        wire.sock.close()
    assert serves(seed, info_hash, data)


def cpu_ticks(program: Program) -> int:
    """Return the hundredths of a second of processor time that a process has used."""
    with open(f"/proc/{program.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (bytes(range(100, 196)), "the first bytes are not a BitTorrent handshake: encrypted (MSE)"),
        (pack_handshake(Handshake(bytes(20), peer_id(1))), "the handshake is for another info-hash"),
    ],
    ids=["encrypted", "other-file"],
)
def test_a_handshake_that_is_not_understood_is_said_once(
    loopback: Loopback, tmp_path: Path, first: bytes, reason: str
) -> None:
    seed, info_hash = share(loopback, tmp_path)
    for _ in range(3):
        with Wire.connect(seed) as wire:
            wire.raw(first)
            assert wire.is_closed()
    assert seed.until("handshake_failed")["reason"].startswith(reason)
    assert serves(seed, info_hash, (tmp_path / "myfile.txt").read_bytes())
    assert len(seed.named("handshake_failed")) == 1
