"""A tracker core in virtual time and a client that sends requests.

The core records its output.
"""

from __future__ import annotations

import itertools
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.event_check import check_event
from torrentnet.runtime.event_table import TRACKER
from torrentnet.runtime.events import parse_event
from torrentnet.tracker.core import Core
from torrentnet.tracker.fastpath.fast_path import FastPath
from torrentnet.tracker.settings import TrackerSettings
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.connection_id import ConnectionIds
from torrentnet.wire.udp.lookup import LookupReply, LookupRequest, pack_lookup, parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, OutcomeSource, pack_outcome, parse_outcome_reply
from torrentnet.wire.udp.packets import (
    ANNOUNCE_FIELDS,
    ANNOUNCE_SIZE,
    Action,
    AnnounceEvent,
    AnnounceReply,
    AnnounceRequest,
)
from torrentnet.wire.udp.possession import PossessionReply, pack_possession, parse_possession_reply, possession_windows
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.tracker.journal.records import Record
    from torrentnet.tracker.settings import Limits
    from torrentnet.wire.info import Info
    from torrentnet.wire.piece_set import PieceSet

KEEPALIVE, TIMEOUT = 0.5, 2.0
EPOCH = 1_795_436_951.0
"""2026-11-23T12:29:11Z: the time of day at virtual second 0."""
HASH = bytes(range(20))
OTHER_HASH = bytes(range(20, 40))
SIZE, PIECE = 8 * 1024 * 1024, 256 * 1024


_LIVES = itertools.count(1)
_FIELDS = struct.Struct(f">{ANNOUNCE_FIELDS}")


@dataclass(frozen=True, slots=True)
class Seen:
    """An event that was emitted."""

    event: str
    fields: dict[str, object]

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{key.rstrip('_')}={value}" for key, value in self.fields.items())])


@dataclass
class World:
    """A core, its clock, and everything that it wrote."""

    limits: Limits | None = None
    settings: TrackerSettings = field(default_factory=lambda: TrackerSettings(KEEPALIVE, TIMEOUT))
    write: Callable[[Sequence[Record]], None] | None = None
    now: float = 1000.0
    first_request: int = 1
    known_files: tuple[Info, ...] = ()
    behind: bool = False

    def __post_init__(self) -> None:
        self.events: list[Seen] = []
        self.records: list[Record] = []
        self.started = self.now
        self.core = Core(
            self.settings,
            ConnectionIds(b"a secret of the tests", self.now),
            emit=self.emit,
            emit_lines=self.emit_lines,
            write=self.write or self.records.extend,
            wall_clock=lambda: EPOCH + self.now - self.started,
            random=random.Random(7),
            first_request=self.first_request,
            limits=self.limits,
            known_files=self.known_files,
            is_behind=lambda: self.behind,
        )

    def emit(self, event: str, /, **fields: object) -> None:
        self.events.append(Seen(event, {key: value for key, value in fields.items() if value is not None}))

    def emit_lines(self, lines: Sequence[str]) -> None:
        for line in lines:
            event = parse_event(line)
            assert event is not None
            assert not check_event(event.name, set(event.fields), TRACKER)
            self.events.append(Seen(event.name, dict(event.fields)))

    def send(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        return self.core.handle(data, source, self.now)

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and let the core expire peers at each of its deadlines."""
        end = self.now + seconds
        while self.core.next_deadline <= end:
            self.now = max(self.now, self.core.next_deadline)
            self.core.expire(self.now)
        self.now = end

    def logged(self, *events: str) -> list[str]:
        """Return the events with these names as text, oldest first."""
        return [str(seen) for seen in self.events if not events or seen.event in events]


class FastWorld(World):
    """A world whose datagrams are offered to the fast path first, as the server does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fast_path = FastPath(self.core)
        self.fast_answers = 0

    def send(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        ip = int.from_bytes(socket.inet_aton(source[0]), "big")
        # In the server's buffer, the bytes behind a short datagram are those of earlier datagrams.
        fields = (ip, *_FIELDS.unpack(data[:ANNOUNCE_SIZE].ljust(ANNOUNCE_SIZE, b"\x01")))
        oldest = self.core.ids.oldest(self.now)
        answer: bytes | bytearray | None = None
        if fields[2] == Action.ANNOUNCE:
            answer = self.fast_path.announce(fields, len(data), data[ANNOUNCE_SIZE:], oldest, self.now)
        elif fields[2] == Action.LOOKUP:
            answer = self.fast_path.lookup(fields, data, oldest, self.now)
        elif fields[2] == Action.OUTCOME:
            answer = self.fast_path.outcome(fields, data, oldest, self.now)
        self.core.audit_log.flush()
        if answer is None:
            return super().send(data, source)
        self.fast_answers += 1
        self.core.received += 1
        return bytes(answer)


class TrackerError(Exception):
    """The tracker answered with an error packet."""


class Link(Protocol):
    """What carries datagrams to a tracker."""

    def send(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        """Send a request from ``source`` and return the answer, or None."""


@dataclass
class Client:
    """A peer whose requests are all answered at once."""

    world: Link
    name: str
    ip: str = "10.0.0.1"
    port: int = 6881
    extended: bool = True
    peer_id: bytes = b""
    connection: int | None = None
    tid: int = 0

    def __post_init__(self) -> None:
        # No two clients use the same transaction ids, not even two with the same peer id.
        self.tid = next(_LIVES) << 16
        self.peer_id = self.peer_id or b"-XT0100-" + self.name.encode().ljust(12, b".")[:12]

    @property
    def source(self) -> tuple[str, int]:
        return self.ip, 40_000 + self.port % 1000

    def connect(self) -> int:
        self.tid += 1
        answer = self.world.send(packets.pack_connect(self.tid), self.source)
        assert answer is not None
        assert len(answer) == 16
        reply = packets.parse_reply(answer)
        assert (reply.action, reply.transaction_id) == (Action.CONNECT, self.tid)
        self.connection = packets.parse_connect_reply(reply)
        return self.connection

    def ask(self, data: bytes) -> packets.ReplyPacket:
        """Send a request and return its answer. Raises :class:`TrackerError`."""
        answer = self.world.send(data, self.source)
        assert answer is not None, "the tracker was silent"
        assert len(answer) <= packets.MAX_DATAGRAM
        reply = packets.parse_reply(answer)
        assert reply.transaction_id == int.from_bytes(data[12:16], "big")
        if reply.action == Action.ERROR:
            raise TrackerError(packets.parse_error(reply))
        assert reply.action == int.from_bytes(data[8:12], "big")
        return reply

    def head(self) -> tuple[int, int]:
        self.tid += 1
        return (self.connect() if self.connection is None else self.connection), self.tid + 1000

    def publication(self, name: str | None = "myfile.txt", size: int | None = SIZE) -> bytes:
        if not self.extended:
            return b""
        piece = None if name is None else PIECE
        return pack_publication(Publication(name, size, piece, self.name, extended=True))

    def packet(
        self,
        event: AnnounceEvent = AnnounceEvent.NONE,
        *,
        left: int = 0,
        info_hash: bytes = HASH,
        want: int = -1,
        options: bytes | None = None,
        name: str | None = "myfile.txt",
    ) -> bytes:
        connection, tid = self.head()
        options = self.publication(name) if options is None else options
        return packets.pack_announce(
            AnnounceRequest(connection, tid, info_hash, self.peer_id, 0, left, 0, event, 0, 0, want, self.port, options)
        )

    def announce(
        self,
        event: AnnounceEvent = AnnounceEvent.NONE,
        *,
        left: int = 0,
        info_hash: bytes = HASH,
        want: int = -1,
        options: bytes | None = None,
        name: str | None = "myfile.txt",
    ) -> AnnounceReply:
        packet = self.packet(event, left=left, info_hash=info_hash, want=want, options=options, name=name)
        return packets.parse_announce_reply(self.ask(packet))

    def lookup_packet(self, name: str = "myfile.txt", *, request: int = 0, first: int = 0) -> bytes:
        connection, tid = self.head()
        return pack_lookup(LookupRequest(connection, tid, first, request, self.peer_id, self.port, name, self.name))

    def lookup(self, name: str = "myfile.txt", *, request: int = 0, first: int = 0) -> LookupReply:
        return parse_lookup_reply(self.ask(self.lookup_packet(name, request=request, first=first)))

    def possess(self, held: PieceSet, *, info_hash: bytes = HASH) -> PossessionReply:
        answer: PossessionReply | None = None
        for first, count in possession_windows(held.size):
            connection, tid = self.head()
            packet = pack_possession(connection, tid, self.port, info_hash, self.peer_id, held, first, count)
            answer = parse_possession_reply(self.ask(packet))
        assert answer is not None
        return answer

    def outcome_packet(
        self,
        request: int,
        result: OutcomeResult = OutcomeResult.SUCCEEDED,
        *,
        sources: tuple[OutcomeSource, ...] = (),
        reason: str = "",
    ) -> bytes:
        connection, tid = self.head()
        done = result is OutcomeResult.SUCCEEDED
        return pack_outcome(
            OutcomeReport(
                connection,
                tid,
                result,
                self.port,
                HASH,
                self.peer_id,
                request,
                SIZE if done else 0,
                120,
                sources,
                reason,
            )
        )

    def outcome(
        self,
        request: int,
        result: OutcomeResult = OutcomeResult.SUCCEEDED,
        *,
        sources: tuple[OutcomeSource, ...] = (),
        reason: str = "",
    ) -> int:
        return parse_outcome_reply(self.ask(self.outcome_packet(request, result, sources=sources, reason=reason)))


def error_of(answer: bytes | None) -> str:
    """Return the text of an error answer."""
    assert answer is not None
    reply = packets.parse_reply(answer)
    assert reply.action == Action.ERROR
    return packets.parse_error(reply)


def seeds(world: World, count: int, *, first: int = 1) -> list[Client]:
    """Return ``count`` clients that have published myfile.txt.

    Each client has its own address.
    """
    made = [Client(world, f"seeder-{number}", ip=f"10.0.1.{number}") for number in range(first, first + count)]
    for seed in made:
        seed.announce(AnnounceEvent.STARTED)
    return made
