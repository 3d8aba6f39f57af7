"""A crowd in virtual time: the real tracker's core, and peers of the swarm strategy joined by links with a rate."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from tests.unit.peer.simulation import Simulation, Trouble, UdpLink
from tests.unit.peer.streams import BULK, PIECE, content, pour
from tests.unit.peer.trackers import EPOCH, Event, Member, RealTracker
from tests.unit.peer.world import DELAY, DISK, NAME, never, nothing
from torrentnet.peer.conversation import Conversation, FileSpan, OfUs
from torrentnet.peer.corrupt import corrupted
from torrentnet.peer.getting import Patience, Phase
from torrentnet.peer.report import Report
from torrentnet.peer.requestlog import RequestLog
from torrentnet.peer.session import Membership
from torrentnet.peer.storage import FileStore, StorageError, open_part, open_whole
from torrentnet.peer.swarm import Swarm
from torrentnet.peer.turns import Pace, choose
from torrentnet.peer.upload import Upload
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.extended import (
    HANDSHAKE_ID,
    METADATA_ID,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
    pack_extension_handshake,
)
from torrentnet.wire.messages import Bitfield, Block, Choke, Extended, HaveAll, HaveNone, Message, Request
from torrentnet.wire.udp import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.peer.conversation import ConversationEvent
    from torrentnet.peer.swarm import Wire
    from torrentnet.wire.info import Info
    from torrentnet.wire.pieces import PieceSet

LOOK = 0.02
"""Seconds between two looks at whose turn it is."""
SOON = 0.03
CHUNK = 16 * 1024
"""Bytes that an uplink sends before another connection may have it."""
HASH_OF_NOBODY = bytes(20)


class _Foreign(Conversation):
    """The end of a real client: it knows nothing of offers."""

    def send_introduction(self, held: PieceSet | None, metadata_size: int) -> None:
        if held is None or not len(held):
            self.send(HaveNone())
        else:
            self.send(HaveAll() if held.is_full else Bitfield(held.bitfield()))
        ours = ExtensionHandshake(METADATA_ID, metadata_size, "another client 1.0")
        self.send(Extended(HANDSHAKE_ID, pack_extension_handshake(ours)))


class _Stingy(Upload):
    """Says that it has the info dictionary, and refuses to send it."""

    def _take_metadata(self, metadata: Metadata) -> None:
        self._conversation.send_metadata(Metadata(MetadataKind.REJECT, metadata.piece))


class End:
    """One end of a connection."""

    def __init__(self, owner: Peer, endpoint: Endpoint, *, initiator: bool) -> None:
        kind = _Foreign if owner.foreign else Conversation
        info_hash = owner.info_hash
        self.owner = owner
        self.endpoint = endpoint
        """The other end's address, as a socket tells it."""
        self.conversation = kind(
            info_hash,
            owner.identity.peer_id,
            initiator=initiator,
            pieces=owner.store.info.pieces if owner.store is not None else 0,
            bulk=BULK,
            of_us=OfUs(owner.identity.name, owner.endpoint.port, offers=owner.swarm is not None),
        )
        serving = _Stingy if owner.stingy else Upload
        self.upload = serving(self.conversation, owner.store, owner.simulation.now)
        self.upload.in_turns = True
        self.open = True
        self.heard: list[ConversationEvent] = []
        """What came but for the data of blocks."""
        self.other: End

    @property
    def wealth(self) -> int:
        return self.upload.wealth

    @property
    def waits_since(self) -> float:
        return self.upload.waits_since

    def hear(self, data: bytes) -> None:
        """Bytes from the other end."""
        owner, now = self.owner, self.owner.simulation.now
        if not self.open or not owner.alive:
            return
        try:
            for event in pour(self.conversation, data):
                self.heard.append(event._replace(data=memoryview(b"")) if isinstance(event, Block) else event)
                self.upload.take(event, now)
                if owner.swarm is not None:
                    owner.swarm.take(self, event, now)
                if not self.open:
                    return
        except RemoteError as error:
            self.close(error.message)
        owner.poll()

    def close(self, reason: str) -> None:
        """This side closes; the other one hears of it."""
        if not self.open:
            return
        self.open = False
        owner, other = self.owner, self.other
        owner.ends.remove(self)
        if owner.swarm is not None and owner.alive:
            owner.swarm.gone(self, reason, owner.simulation.now)
        owner.simulation.after(DELAY, lambda: other.close("closed by the other side"))


class Peer(Member):
    """A seed, or with a :class:`Swarm` a leecher; ``rate`` is its uplink's, bytes a second (None: at once)."""

    def __init__(
        self,
        crowd: Crowd,
        name: str,
        directory: Path,
        rate: float | None,
        *,
        foreign: bool = False,
        stingy: bool = False,
    ) -> None:
        number = len(crowd.peers)
        super().__init__(
            crowd.simulation,
            UdpLink(crowd.simulation, crowd.rng, crowd.trouble),
            crowd.tracker,
            name=name,
            endpoint=Endpoint(f"198.18.0.{10 + number}", 6881),
            seed=crowd.seed * 1_000 + number,
        )
        self.crowd = crowd
        self.path = directory / NAME
        self.rate = rate
        self.foreign = foreign
        self.stingy = stingy
        self.ends: list[End] = []
        self.store: FileStore | None = None
        self.swarm: Swarm | None = None
        self.told: list[Event] = []
        self.log = RequestLog(lambda: EPOCH + self.simulation.now)
        self.dialled: list[Endpoint] = []
        self.hung_up: list[tuple[str, str]] = []
        """Who was hung up on, by its connection's address, and why."""
        self.uploaded = 0
        """Bytes that have left on all connections."""
        self.mute = False
        """It sends nothing more, and its connections stay."""
        self.died_at: float | None = None
        self._pace = Pace(self.simulation.now)
        self._rng = random.Random(number)
        self._sending = False
        self._news_at: float | None = None
        self._tick_at: float | None = None

    # What it is

    def share(self, store: FileStore) -> None:
        """A seed from now on."""
        self.store = store
        info = store.info
        self.session.join(Membership(info.info_hash, NAME, info.length, info.piece_length), store.held, self.now)
        self.poll()
        self._look()

    def get(self, patience: Patience | None = None, info: Info | None = None) -> None:
        """A leecher from now on."""
        self.heard = self._heard
        report = Report(NAME, self._emit, self.log)
        self.swarm = Swarm(
            NAME,
            self.identity,
            self.session,
            self,
            random.Random(int(self.endpoint.ip.rpartition(".")[2])),
            patience or Patience(),
            report,
            self.now,
            own=self.endpoint,
            exists=os.path.lexists(self.path),
            info=info,
        )
        self.poll()
        self._look()

    @property
    def now(self) -> float:
        return self.simulation.now

    @property
    def info_hash(self) -> bytes:
        if self.store is not None:
            return self.store.info.info_hash
        return self.swarm.info_hash if self.swarm is not None and self.swarm.known else HASH_OF_NOBODY

    @property
    def phase(self) -> Phase:
        assert self.swarm is not None
        return self.swarm.phase

    @property
    def ended(self) -> bool:
        return self.phase in {Phase.DONE, Phase.FAILED}

    @property
    def whole(self) -> bool:
        """Whether the file is here under its name, with every byte as it is to be."""
        return self.path.exists() and self.path.read_bytes() == self.crowd.data

    def named(self, event: str) -> list[dict[str, object]]:
        """The fields of the events of that name."""
        return [one.fields for one in self.told if one.name == event]

    def gave(self) -> dict[str, int]:
        """Pieces by who gave them, from the last event."""
        (completed,) = self.named("completed")
        pairs = (one.rpartition(":") for one in str(completed["sources"]).split(","))
        return {name: int(count) for name, _, count in pairs}

    def heard_of_kind(self, kind: type[Message]) -> list[ConversationEvent]:
        """All events of one kind, on the connections that are open."""
        return [event for end in self.ends for event in end.heard if isinstance(event, kind)]

    def _emit(self, event: str, /, **fields: object) -> None:
        self.told.append(Event(self.now, event, fields))

    def _heard(self, event: object) -> None:
        if self.swarm is not None:
            self.swarm.take_session(event, self.now)  # type: ignore[arg-type]  # a SessionEvent

    # Misfortunes

    def die(self) -> None:
        """As by SIGKILL."""
        self.alive = False
        self.died_at = self.now
        for end in list(self.ends):
            end.close("killed")

    def choke(self) -> None:
        """As a real client does: nobody is served any more, and what was asked for is not."""
        for end in self.ends:
            end.conversation.send(Choke())
            end.upload._drop_requests()
        self._send()

    # The loop

    def poll(self) -> None:
        if not self.alive:
            return
        if self.swarm is not None:
            self.swarm.tick(self.now)
            self._keep(self.swarm.store)
        super().poll()
        self._send()
        due = self.swarm.due() if self.swarm is not None else None
        if due is not None and (self._tick_at is None or due < self._tick_at or self._tick_at <= self.now):
            self._tick_at = due
            self.simulation.at(due, self._ticked)

    def _ticked(self) -> None:
        self._tick_at = None
        self.poll()

    def _keep(self, store: FileStore | None) -> None:
        if store is None or store is self.store:
            return
        self.store = store
        for end in list(self.ends):
            try:
                end.upload.open(store)
            except RemoteError as error:
                end.close(error.message)

    def _look(self) -> None:
        if not self.alive:
            return
        now = self.now
        if not self.mute:
            backlog = sum(end.upload.backlog for end in self.ends)
            self._pace.look(now, busy=backlog > 0)
            backlog += sum(end.upload.promised(now) for end in self.ends)
            while backlog < self._pace.ahead():
                waiting = [end for end in self.ends if end.upload.wants_turn(now)]
                chosen = choose(waiting, self._rng, now)
                if chosen is None:
                    break
                backlog += chosen.upload.give_turn(now)
            self._send()
        self.simulation.after(LOOK, self._look)

    def _send(self) -> None:
        if self._sending or self.mute or not self.alive:
            return
        for end in self.ends:
            end.upload.pump()
        waiting = [one for one in self.ends if one.conversation.waiting]
        if not waiting:
            return
        end = waiting[0]
        # Whoever was served comes last in the next round.
        self.ends.remove(end)
        self.ends.append(end)
        data = take(end.conversation, CHUNK)
        self.uploaded += len(data)
        self._pace.sent(len(data))
        self._sending = True
        self.simulation.after(len(data) / self.rate if self.rate else 0.0, lambda: self._sent(end, data))

    def _sent(self, end: End, data: bytes) -> None:
        self._sending = False
        if self.alive:
            self.simulation.after(DELAY, lambda: end.other.hear(data))
            self._send()

    # Host

    def dial(self, endpoint: Endpoint) -> None:
        self.dialled.append(endpoint)
        self.simulation.after(2 * DELAY, lambda: self._answered(endpoint))

    def _answered(self, endpoint: Endpoint) -> None:
        if not self.alive:
            return
        assert self.swarm is not None
        peer = next((one for one in self.crowd.peers if one.endpoint == endpoint), None)
        if peer is None or not peer.alive:
            self.swarm.unreachable(endpoint, "connection refused", self.now)
        elif peer.info_hash != HASH_OF_NOBODY:
            self.crowd.connections += 1
            mine = End(self, endpoint, initiator=True)
            theirs = End(peer, Endpoint(self.endpoint.ip, 40_000 + self.crowd.connections), initiator=False)
            mine.other, theirs.other = theirs, mine
            self.ends.append(mine)
            peer.ends.append(theirs)
        else:
            self.swarm.unreachable(endpoint, "closed by the other side", self.now)
        self.poll()

    def hang_up(self, wire: Wire, reason: str) -> None:
        assert isinstance(wire, End)
        self.hung_up.append((str(wire.endpoint), reason))
        wire.close(reason)

    def _later(self, job: Callable[[Swarm], Callable[[], None]]) -> None:
        swarm = self.swarm
        assert swarm is not None

        def run() -> None:
            if not self.alive:
                return
            try:
                then = job(swarm)
            except StorageError as error:
                swarm.storage_failed(error, self.now)
            else:
                then()
            self.poll()

        self.simulation.after(DISK, run)

    def open_existing(self, piece_length: int) -> None:
        def job(swarm: Swarm) -> Callable[[], None]:
            store = self.crowd.keep(open_whole(self.path, piece_length, nothing, never))
            return lambda: swarm.existing_opened(store, self.now)

        self._later(job)

    def open_part(self, info: Info) -> None:
        def job(swarm: Swarm) -> Callable[[], None]:
            store = self.crowd.keep(open_part(self.path, info, nothing, never))
            return lambda: swarm.part_opened(store, self.now)

        self._later(job)

    def write_piece(self, piece: int, data: bytearray) -> None:
        def job(swarm: Swarm) -> Callable[[], None]:
            assert swarm.store is not None
            verified = swarm.store.write_piece(piece, data)

            def then() -> None:
                swarm.piece_written(piece, self.now, verified=verified)
                if verified:
                    self._announce(piece)

            return then

        self._later(job)

    def _announce(self, piece: int) -> None:
        for end in self.ends:
            end.upload.announce(piece)
        if self._news_at is None:
            self._news_at = self.now + SOON
            self.simulation.at(self._news_at, self._say_haves)

    def _say_haves(self) -> None:
        self._news_at = None
        for end in self.ends:
            end.upload.say_haves()
        self._send()

    def finish(self) -> None:
        def job(swarm: Swarm) -> Callable[[], None]:
            assert swarm.store is not None
            swarm.store.finish()
            return lambda: swarm.finished(self.now)

        self._later(job)


class Crowd:
    """Tracker, peers and the clock. ``directory`` holds one directory for each peer."""

    def __init__(self, directory: Path, *, pieces: int = 40, seed: int = 1, trouble: Trouble | None = None) -> None:
        self.simulation = Simulation()
        self.seed = seed
        self.rng = random.Random(seed)
        self.trouble = trouble or Trouble()
        self.tracker = RealTracker(self.simulation, seed=seed)
        self.directory = directory
        self.pieces = pieces
        self.data = content((pieces - 1) * PIECE + 100, 1)
        self.peers: list[Peer] = []
        self.connections = 0
        self._stores: list[FileStore] = []

    def place(self, name: str) -> Path:
        """The directory of a peer."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        return directory

    def keep(self, store: FileStore) -> FileStore:
        """Close it in the end."""
        self._stores.append(store)
        return store

    def seeder(
        self,
        name: str = "seeder",
        *,
        rate: float | None = 1e6,
        corrupt: tuple[int, ...] = (),
        foreign: bool = False,
        stingy: bool = False,
    ) -> Peer:
        """A seed more, which the tracker knows; ``corrupt`` are pieces that it sends with a byte changed."""
        peer = Peer(self, name, self.place(name), rate, foreign=foreign, stingy=stingy)
        peer.path.write_bytes(self.data)
        store = open_whole(peer.path, PIECE, nothing, never)
        if corrupt:
            store = corrupted(store, corrupt)
        self.peers.append(peer)
        peer.share(self.keep(store))
        self.simulation.run(0.3)
        return peer

    def leecher(
        self,
        name: str,
        *,
        rate: float | None = 1e6,
        patience: Patience | None = None,
        has: tuple[int, ...] = (),
        info: Info | None = None,
    ) -> Peer:
        """A leecher more, which begins now; ``has`` are pieces of an earlier run."""
        peer = Peer(self, name, self.place(name), rate)
        if has:
            part = bytearray(len(self.data))
            for piece in has:
                part[piece * PIECE : (piece + 1) * PIECE] = self.data[piece * PIECE : (piece + 1) * PIECE]
            peer.path.with_name(NAME + ".part").write_bytes(part)
        self.peers.append(peer)
        peer.get(patience, info)
        return peer

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; every now and then, look whether the books of all agree."""
        end = self.simulation.now + seconds
        while self.simulation.now < end:
            if self.simulation.run(min(0.1, end - self.simulation.now), until):
                return True
            for peer in self.peers:
                check(peer)
        return until()

    def until_ended(self, *peers: Peer, seconds: float = 600.0) -> None:
        """Let time pass until these have the file, or have failed."""
        self.run(seconds, lambda: all(peer.ended for peer in peers))
        stuck = [f"{peer.identity.name}: {peer.phase}, {peer.told[-3:]}" for peer in peers if not peer.ended]
        assert not stuck, stuck

    def close(self) -> None:
        """Close all files."""
        for store in self._stores:
            store.close()


def take(conversation: Conversation, most: int) -> bytes:
    """At most ``most`` bytes of what waits, as a socket would take them."""
    parts: list[bytes] = []
    room = most
    while conversation.output and room:
        head = conversation.output.popleft()
        if isinstance(head, FileSpan):
            data = os.pread(head.descriptor, min(room, head.length), head.offset)
            if head.length > room:
                rest = FileSpan(head.descriptor, head.offset + room, head.length - room)
                conversation.output.appendleft(rest)
        else:
            data = head[:room]
            if len(head) > room:
                conversation.output.appendleft(head[room:])
        parts.append(data)
        room -= len(data)
    joined = b"".join(parts)
    conversation.sent(len(joined))
    return joined


def check(peer: Peer) -> None:
    """Every piece that is not here is still to be asked for, asked of somebody who is there, or about to be written."""
    swarm = peer.swarm
    if swarm is None or swarm._pieces is None or swarm.phase is not Phase.FETCHING or not peer.alive:
        return
    assert swarm.store is not None
    work, verifying = swarm._pieces.work, swarm._pieces.verifying
    under = {piece: {id(giver) for giver in one.givers} for piece, one in work._under.items()}
    theirs: dict[int, set[int]] = {}
    for partner in swarm._partners.values():
        for piece in partner.fetch.pieces:
            theirs.setdefault(piece, set()).add(id(partner))
    assert under == theirs
    parts = [
        set(work._todo),
        set(under),
        set(verifying),
        {p for p in range(swarm.store.held.size) if p in swarm.store.held},
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == swarm.store.held.size
    assert all(end.open for end in peer.ends)
    assert {id(wire) for wire in swarm._partners} <= {id(end) for end in peer.ends}
    for piece, count in enumerate(work._holders):
        assert count == sum(one.counted is not None and piece in one.counted for one in swarm._partners.values())


def asked(peer: Peer) -> list[Request]:
    """What others have asked of it, on the connections that are open."""
    return [event for event in peer.heard_of_kind(Request) if isinstance(event, Request)]
