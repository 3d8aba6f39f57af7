"""A swarm in virtual time.

It has the real tracker's core, and peers with limited uplinks.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, cast

from tests.unit.peer.downloader import DELAY, NAME, Downloader, never, nothing
from tests.unit.peer.simulation import Simulation, Trouble, UdpLink
from tests.unit.peer.strategies.ends import CHUNK, HASH_OF_NOBODY, End, take
from tests.unit.peer.streams import PIECE, content
from tests.unit.peer.trackers import RealTracker
from torrentnet.peer.scheduling.choker import SendRate, choose_next
from torrentnet.peer.storage.corrupt import corrupt_copy
from torrentnet.peer.storage.file_store import FileStore, open_complete
from torrentnet.peer.strategies.base import Phase
from torrentnet.peer.strategies.effects import CloseConnection, Dial
from torrentnet.peer.strategies.swarm import SwarmDownload
from torrentnet.peer.strategies.task import DownloadTask, Timeouts
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.peer.messages import Choke, Message, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.peer.strategies.effects import Effect
    from torrentnet.peer.transfer.connection import Connection
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.info import Info

CHOKER_INTERVAL = 0.02
"""Seconds between two rounds of the choker."""
HAVE_DELAY = 0.03


class Peer(Downloader):
    """A seed, or with a :class:`SwarmDownload` a leecher.

    ``rate`` is that of the uplink in bytes a second; None if it sends at once.
    """

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
            directory / NAME,
            name=name,
            endpoint=Endpoint(f"198.18.0.{10 + number}", 6881),
            seed=crowd.seed * 1_000 + number,
        )
        self.crowd = crowd
        self.rate = rate
        self.foreign = foreign
        self.stingy = stingy
        self.ends: list[End] = []
        self.store: FileStore | None = None
        self.swarm: SwarmDownload | None = None
        self.dialled: list[Endpoint] = []
        self.closed_connections: list[tuple[str, str]] = []
        """The connections that it closed: address and reason."""
        self.uploaded = 0
        """Bytes sent on all connections."""
        self.mute = False
        """Whether it sends nothing more, on connections that stay open."""
        self.died_at: float | None = None
        self._send_rate = SendRate(self.simulation.now)
        self._rng = random.Random(number)
        self._sending = False
        self._haves_at: float | None = None

    # -- state -------------------------------------------------------------------------------------

    def share(self, store: FileStore) -> None:
        """Become a seed."""
        self.store = store
        info = store.info
        self.session.join(Membership.from_info(info, NAME), store.held, self.now)
        self.poll()
        self._serve_turns()

    def get(self, patience: Timeouts | None = None, info: Info | None = None) -> None:
        """Become a leecher."""
        self.listen()
        task = DownloadTask(NAME, self.identity, self.session, self.report, patience or Timeouts(), self.exists, info)
        rng = random.Random(int(self.endpoint.ip.rpartition(".")[2]))
        self.swarm = SwarmDownload(task, rng, self.now, self.endpoint)
        self.poll()
        self._serve_turns()

    @property
    def running_download(self) -> SwarmDownload:
        assert self.swarm is not None
        return self.swarm

    @property
    def info_hash(self) -> bytes:
        if self.store is not None:
            return self.store.info.info_hash
        return (self.swarm.info_hash if self.swarm is not None else b"") or HASH_OF_NOBODY

    @property
    def is_complete(self) -> bool:
        """Whether the complete file is here under its final name."""
        return self.path.exists() and self.path.read_bytes() == self.crowd.data

    def pieces_by_source(self) -> dict[str, int]:
        """Return the number of pieces from each source, by the event ``completed``."""
        (completed,) = self.fields_of("completed")
        pairs = (one.rpartition(":") for one in str(completed["sources"]).split(","))
        return {name: int(count) for name, _, count in pairs}

    def received_messages(self, kind: type[Message]) -> list[PeerProtocolEvent]:
        """Return the received messages of one kind, on the open connections."""
        return [event for end in self.ends for event in end.received if isinstance(event, kind)]

    # -- failures ----------------------------------------------------------------------------------

    def die(self) -> None:
        """Die, as by SIGKILL."""
        self.alive = False
        self.died_at = self.now
        for end in list(self.ends):
            end.close("killed")

    def choke(self) -> None:
        """Choke every peer, as other clients do: open requests are dropped."""
        for end in self.ends:
            end.protocol.send(Choke())
            end.upload._drop_requests()
        self._send()

    # -- the loop ----------------------------------------------------------------------------------

    def poll(self) -> None:
        if not self.alive:
            return
        if self.swarm is not None:
            self.step(lambda it: it.tick(self.now))
            self._serve(self.swarm.store)
        super().poll()
        self._send()
        if self.swarm is not None:
            self.poll_at(self.swarm.due())

    def _serve(self, store: FileStore | None) -> None:
        if store is None or store is self.store:
            return
        self.store = store
        for end in list(self.ends):
            try:
                end.upload.open(store)
            except RemoteError as error:
                end.close(error.message)

    def _serve_turns(self) -> None:
        if not self.alive:
            return
        now = self.now
        if not self.mute:
            backlog = sum(end.upload.backlog for end in self.ends)
            self._send_rate.update(now, busy=backlog > 0)
            backlog += sum(end.upload.promised_bytes(now) for end in self.ends)
            while backlog < (ahead := self._send_rate.lookahead()):
                waiting = [end.upload for end in self.ends if end.upload.wants_turn(now, ahead)]
                chosen = choose_next(waiting, self._rng, now)
                if chosen is None:
                    break
                backlog += chosen.grant_turn(now)
            self._send()
        self.simulation.after(CHOKER_INTERVAL, self._serve_turns)

    def _send(self) -> None:
        if self._sending or self.mute or not self.alive:
            return
        for end in self.ends:
            end.upload.fill_output()
        waiting = [one for one in self.ends if one.protocol.pending_bytes]
        if not waiting:
            return
        end = waiting[0]
        # The connection that was served comes last in the next round.
        self.ends.remove(end)
        self.ends.append(end)
        data = take(end.protocol, CHUNK)
        self.uploaded += len(data)
        self._send_rate.sent(len(data))
        self._sending = True
        self.simulation.after(len(data) / self.rate if self.rate else 0.0, lambda: self._sent(end, data))

    def _sent(self, end: End, data: bytes) -> None:
        self._sending = False
        if self.alive:
            self.simulation.after(DELAY, lambda: end.other.receive(data))
            self._send()

    # -- effects -----------------------------------------------------------------------------------

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Dial(endpoint):
                self.dial(endpoint)
            case CloseConnection(connection, reason):
                self.close_connection(connection, reason)
            case _:
                super().carry_out(effect)

    def handle_peer_event(self, end: End, event: PeerProtocolEvent) -> None:
        self.step(lambda _: self.running_download.handle_peer_event(cast("Connection", end), event, self.now))

    def connection_closed(self, end: End, reason: str) -> None:
        self.step(lambda _: self.running_download.connection_closed(cast("Connection", end), reason, self.now))

    def _dial_failed(self, endpoint: Endpoint, reason: str) -> None:
        self.step(lambda _: self.running_download.dial_failed(endpoint, reason, self.now))

    def dial(self, endpoint: Endpoint) -> None:
        self.dialled.append(endpoint)
        self.simulation.after(2 * DELAY, lambda: self._answered(endpoint))

    def _answered(self, endpoint: Endpoint) -> None:
        if not self.alive:
            return
        peer = next((one for one in self.crowd.peers if one.endpoint == endpoint), None)
        if peer is None or not peer.alive:
            self._dial_failed(endpoint, "connection refused")
        elif peer.info_hash != HASH_OF_NOBODY:
            self.crowd.connections += 1
            mine = End(self, endpoint, initiator=True)
            theirs = End(peer, Endpoint(self.endpoint.ip, 40_000 + self.crowd.connections), initiator=False)
            mine.other, theirs.other = theirs, mine
            self.ends.append(mine)
            peer.ends.append(theirs)
        else:
            self._dial_failed(endpoint, "closed by the other side")
        self.poll()

    def close_connection(self, wire: Connection, reason: str) -> None:
        assert isinstance(wire, End)
        self.closed_connections.append((str(wire.endpoint), reason))
        wire.close(reason)

    def announce(self, piece: int) -> None:
        for end in self.ends:
            end.upload.queue_have(piece)
        if self._haves_at is None:
            self._haves_at = self.now + HAVE_DELAY
            self.simulation.at(self._haves_at, self._say_haves)

    def _say_haves(self) -> None:
        self._haves_at = None
        for end in self.ends:
            end.upload.send_haves()
        self._send()


class Crowd:
    """The tracker, the peers and the clock of a swarm.

    ``directory`` holds one directory for each peer.
    """

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

    def place(self, name: str) -> Path:
        """Return a peer's directory, made where it is missing."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        return directory

    def seeder(
        self,
        name: str = "seeder",
        *,
        rate: float | None = 1e6,
        corrupt: tuple[int, ...] = (),
        foreign: bool = False,
        stingy: bool = False,
    ) -> Peer:
        """Add a seed that the tracker knows.

        The seed sends the pieces ``corrupt`` with a byte changed.
        """
        peer = Peer(self, name, self.place(name), rate, foreign=foreign, stingy=stingy)
        peer.path.write_bytes(self.data)
        store = open_complete(peer.path, PIECE, nothing, never)
        if corrupt:
            store = corrupt_copy(store, corrupt)
        self.peers.append(peer)
        peer.share(peer.keep(store))
        self.simulation.run(0.3)
        return peer

    def leecher(
        self,
        name: str,
        *,
        rate: float | None = 1e6,
        patience: Timeouts | None = None,
        has: tuple[int, ...] = (),
        info: Info | None = None,
    ) -> Peer:
        """Add a leecher that starts now; ``has`` are pieces of an earlier run."""
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
        """Let time pass, and call :func:`check` for every peer now and then."""
        end = self.simulation.now + seconds
        while self.simulation.now < end:
            if self.simulation.run(min(0.1, end - self.simulation.now), until):
                return True
            for peer in self.peers:
                check(peer)
        return until()

    def until_ended(self, *peers: Peer, seconds: float = 600.0) -> None:
        """Let time pass until these peers have the file, or have failed."""
        self.run(seconds, lambda: all(peer.ended for peer in peers))
        stuck = [f"{peer.identity.name}: {peer.phase}, {peer.event_lines[-3:]}" for peer in peers if not peer.ended]
        assert not stuck, stuck

    def close(self) -> None:
        """Close all files."""
        for peer in self.peers:
            for store in peer.stores:
                store.close()


def check(peer: Peer) -> None:
    """Check that every piece is held, unrequested, requested, or being written."""
    swarm = peer.swarm
    if swarm is None or swarm._scheduler is None or swarm.phase is not Phase.FETCHING or not peer.alive:
        return
    assert swarm.store is not None
    picker, verifying = swarm._scheduler._picker, swarm._scheduler._verifying
    requested = {piece: {id(source) for source in one.sources} for piece, one in picker._requested.items()}
    theirs: dict[int, set[int]] = {}
    for remote in swarm._peers.values():
        for piece in remote.fetcher.pieces:
            theirs.setdefault(piece, set()).add(id(remote))
    assert requested == theirs
    parts = [
        set(picker._unrequested),
        set(requested),
        set(verifying),
        set(swarm.store.held),
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == swarm.store.held.size
    assert all(end.open for end in peer.ends)
    assert {id(connection) for connection in swarm._peers} <= {id(end) for end in peer.ends}
    assert not swarm._closing
    assert not swarm.effects
    copies = Counter(piece for one in swarm._peers.values() for piece in one.counted or ())
    assert list(picker._availability) == [copies[piece] for piece in range(len(picker._availability))]


def asked(peer: Peer) -> list[Request]:
    """Return the requests of other peers, on the open connections."""
    return [event for event in peer.received_messages(Request) if isinstance(event, Request)]
