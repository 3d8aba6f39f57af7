"""Fuzzer of the peer's conversation as a process.

``run(seconds, seed, corpus)`` starts a seed, and a leecher that knows no info dictionary yet. Each conversation is a
handshake and messages of the peer protocol in any order, some of them mutated. Afterwards an honest client is served.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fuzz.common import MAX_GROWTH, FuzzResult, keep, mutate, read_corpus
from tests.hostile.peer.rig import FakeSeed, LyingTracker, Wire, endpoint_of, info_for
from tests.loopback.programs import ANYWHERE, PEER, running
from torrentnet.wire.peer.extension_protocol import (
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
    pack_metadata,
)
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
    pack_block_head,
)

if TYPE_CHECKING:
    from tests.loopback.programs import Program

PIECES: Final = 8
PIECE: Final = 32 * 1024
BLOCK: Final = 16 * 1024
MESSAGES: Final = 200
"""Messages of one conversation."""
CONVERSATIONS: Final = 20
"""Conversations between two checks with an honest client."""
WARM_UP: Final = 20_000


def run(seconds: float, seed: int, corpus: Path) -> FuzzResult:
    """Fuzz for some seconds; the same seed makes the same conversations."""
    choose = random.Random(seed)
    stored = [*read_corpus(corpus), b""]
    data, info = info_for(PIECES * PIECE)
    inputs = base = 0
    slowest = 0.0
    failures: list[str] = []
    sent = b""
    with tempfile.TemporaryDirectory() as folder, LyingTracker() as tracker, FakeSeed(_be_silent) as silent:
        tracker.lists(info, silent)
        source = Path(folder, "myfile.txt")
        source.write_bytes(data)
        there = Path(folder, "there")
        there.mkdir()
        for loopback in running(Path(folder)):
            giver = loopback.start(PEER, "share", source, tracker.address, ANYWHERE, "--piece-length", "32KiB")
            giver.until("published")
            words = ("get", "myfile.txt", tracker.address, ANYWHERE, "--dir", there, "--strategy", "swarm")
            taker = loopback.start(PEER, *words, "--give-up", "100h", "--timeout", "100h")
            taker.until("lookup")
            peers, end = (giver, taker), time.monotonic() + seconds
            while time.monotonic() < end and not failures:
                began = time.monotonic()
                for _ in range(CONVERSATIONS):
                    sent = _conversation(choose, info.info_hash, stored)
                    _send(choose.choice(peers), sent)
                    inputs += MESSAGES
                wrong = _check(giver, info.info_hash, data)
                slowest = max(slowest, time.monotonic() - began)
                if not base and inputs >= WARM_UP:
                    base = _memory(peers)
                ended = [peer for peer in peers if peer.process.poll() is not None or peer.errors]
                if wrong or ended:
                    failures.append(wrong or f"{ended[0].title} ended: {ended[0].errors[-1:]}")
            growth = _memory(peers) - base if base and not failures else 0
            if growth > MAX_GROWTH:
                failures.append(f"the peers grew by {growth >> 20} MiB")
    if failures:
        failures.append(f"the last conversation: {keep(corpus, 'peer', sent)}")
    return FuzzResult(inputs, tuple(failures), slowest, growth)


def _be_silent(wire: Wire) -> None:
    while wire.sock.recv(1 << 16):
        pass


def _memory(peers: tuple[Program, ...]) -> int:
    """Return the resident bytes of all peers."""
    pages = (int(Path(f"/proc/{peer.process.pid}/statm").read_text("ascii").split()[1]) for peer in peers)
    return sum(pages) * resource.getpagesize()


def _send(peer: Program, data: bytes) -> None:
    """Send a conversation, and read the answers to its end."""
    with contextlib.suppress(OSError), socket.create_connection(endpoint_of(peer), 5.0) as sock:
        sock.settimeout(0.02)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass


def _check(peer: Program, info_hash: bytes, data: bytes) -> str:
    """Return what an honest client misses."""
    try:
        with Wire.greet(peer, info_hash, b"-XX0000-honest------") as wire:
            wire.say(Interested(), Request(1, 0, BLOCK))
            block = wire.until(Block)
            return "" if bytes(block.data) == data[PIECE : PIECE + BLOCK] else "the seed sent wrong data"
    except (AssertionError, OSError) as error:
        return f"an honest client is not served: {error}"


def _conversation(choose: random.Random, info_hash: bytes, stored: list[bytes]) -> bytes:
    """Return a handshake and messages, most of them as they should be."""
    peer_id = b"-XX0100-" + choose.randbytes(12)
    greeting = Handshake(info_hash, peer_id, extended=choose.random() < 0.9, fast=choose.random() < 0.8)
    messages = [_message(choose) for _ in range(MESSAGES)]
    kind = choose.randrange(4)
    for _ in range(kind):
        place = choose.randrange(len(messages))
        messages[place] = mutate(choose, messages[place], (*messages[:5], *stored))
    handshake = pack_handshake(greeting)
    return (mutate(choose, handshake, stored) if choose.random() < 0.02 else handshake) + b"".join(messages)


def _message(choose: random.Random) -> bytes:
    piece = choose.choice((0, 1, PIECES - 1, PIECES, choose.getrandbits(32)))
    begin = choose.choice((0, BLOCK, 1, PIECE, choose.getrandbits(32)))
    length = choose.choice((BLOCK, 1, 0, PIECE, 1 << 18, choose.getrandbits(32)))
    if choose.random() < 0.1:
        size = choose.choice((0, 1, BLOCK))
        return pack_block_head(piece, begin, size) + choose.randbytes(size)
    plain: tuple[Message, ...] = (KeepAlive(), Choke(), Unchoke(), Interested(), NotInterested(), HaveAll(), HaveNone())
    numbered: tuple[Message, ...] = (
        Have(piece),
        Suggest(piece),
        AllowedFast(piece),
        Port(choose.randrange(1 << 16)),
        Bitfield(choose.randbytes(choose.choice((1, 1, 0, 2)))),
        Request(piece % PIECES, 0, BLOCK),
        Request(piece, begin, length),
        Cancel(piece, begin, length),
        Reject(piece, begin, length),
        Extended(choose.randrange(4), _extension(choose)),
    )
    return pack(choose.choice(plain + numbered))


def _extension(choose: random.Random) -> bytes:
    if choose.random() < 0.5:
        ids, size = choose.randrange(256), choose.choice((0, 1, 300, 1 << 20, 1 << 40))
        return pack_extension_handshake(ExtensionHandshake(ids, size, "fuzz", choose.randrange(3_000), offer_id=ids))
    part = choose.choice((0, 1, 1 << 31))
    payload = choose.randbytes(choose.choice((0, 10, BLOCK)))
    return pack_metadata(Metadata(choose.choice(tuple(MetadataKind)), part, choose.choice((0, 300)), payload))
