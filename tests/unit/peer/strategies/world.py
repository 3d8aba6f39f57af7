"""A small simulated world for one download.

It has the real tracker's core, real uploaders over fake streams, and one downloading peer.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.unit.peer.downloader import DELAY, NAME, Downloader, never, nothing
from tests.unit.peer.simulation import Simulation, Trouble, UdpLink
from tests.unit.peer.streams import BULK, PIECE, Seed, content, drained, pour
from tests.unit.peer.trackers import Member, RealTracker
from torrentnet.peer.storage.file_store import FileStore, StorageError, open_complete
from torrentnet.peer.strategies.effects import Connect, Disconnect
from torrentnet.peer.strategies.single import SingleDownload
from torrentnet.peer.strategies.task import DownloadTask, Timeouts
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.peer.transfer.protocol import PeerProtocol
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.peer.messages import Request

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.peer.strategies.base import Phase
    from torrentnet.peer.strategies.effects import Effect
    from torrentnet.peer.transfer.protocol import PeerProtocolEvent
    from torrentnet.wire.info import Info

QUANTUM = 0.01
"""Seconds between two portions of a rate-limited source."""


class Source:
    """A seed: its tracker session, the file that it serves, and its misbehaviour."""

    def __init__(self, world: World, number: int, store: FileStore, name: str) -> None:
        self.world = world
        self.store = store
        self.endpoint = Endpoint(f"198.18.0.{10 + number}", 6881)
        self.member = Member(
            world.simulation,
            UdpLink(world.simulation, world.rng, world.trouble),
            world.tracker,
            name=name,
            endpoint=self.endpoint,
            seed=1_000 + number,
        )
        self.alive = True
        self.refuses = False
        """Whether connections are refused."""
        self.ignores = False
        """Whether connections are left unanswered."""
        self.rate: float | None = None
        """Bytes a second; None for at once."""
        self.dies_after: int | None = None
        """Bytes that it sends before it dies."""
        self.mute_after: int | None = None
        """Bytes that it sends before it falls silent, with the connection open."""
        self.sent = 0
        self.connections = 0
        self.asked: list[tuple[float, Request]] = []
        self._streams: list[Stream] = []

    @property
    def name(self) -> str:
        return self.member.identity.name

    def publish(self) -> None:
        info = self.store.info
        membership = Membership.from_info(info, info.name)
        self.member.session.join(membership, self.store.held, self.world.simulation.now)
        self.member.poll()

    def die(self) -> None:
        """Die, as by SIGKILL."""
        self.alive = self.member.alive = False
        for stream in self._streams:
            stream.close("closed the connection")

    def leave(self) -> None:
        """Stop, as by SIGTERM."""
        self.member.session.leave(self.world.simulation.now, 0.6)
        self.member.poll()
        self.alive = False
        for stream in self._streams:
            stream.close("closed the connection")

    def come_back(self) -> None:
        """Start anew after its death, at the same address."""
        self.alive = True
        number = self.endpoint.ip.rpartition(".")[2]
        self.member = Member(
            self.world.simulation,
            UdpLink(self.world.simulation, self.world.rng, self.world.trouble),
            self.world.tracker,
            name=self.name,
            endpoint=self.endpoint,
            seed=2_000 + int(number),
        )
        self.dies_after = self.mute_after = None
        self.publish()

    def accept(self, stream: Stream) -> None:
        self.connections += 1
        self._streams.append(stream)


class Stream:
    """One TCP connection from the getter to a source."""

    def __init__(self, getter: Getter, source: Source) -> None:
        self.getter, self.source = getter, source
        self.open = True
        now = getter.simulation.now
        self.seed = Seed(source.store, now, source.member.identity.peer_id)
        self.protocol = PeerProtocol(
            getter.download.info_hash, getter.identity.peer_id, initiator=True, buffer_size=BULK
        )
        self._waiting = b""
        self._sending = False
        source.accept(self)

    def flush(self) -> None:
        """Carry the getter's output to the source."""
        data = drained(self.protocol)
        if data:
            self.getter.simulation.after(DELAY, lambda: self._to_source(data))

    def _to_source(self, data: bytes) -> None:
        if not self.open or not self.source.alive:
            return
        seed, now = self.seed, self.getter.simulation.now
        try:
            for event in pour(seed.protocol, data):
                if isinstance(event, Request):
                    self.source.asked.append((now, event))
                seed.upload.handle(event, now)
        except RemoteError:
            self.close("closed the connection")
            return
        seed.upload.fill_output()
        self._send()

    def _send(self) -> None:
        if self._sending or not self.open:
            return
        self._waiting += self.seed.output()
        source = self.source
        portion = len(self._waiting) if source.rate is None else max(1, int(source.rate * QUANTUM))
        if source.mute_after is not None:
            portion = min(portion, source.mute_after - source.sent)
        if source.dies_after is not None:
            portion = min(portion, source.dies_after - source.sent)
        data, self._waiting = self._waiting[:portion], self._waiting[portion:]
        source.sent += len(data)
        if data:
            self.getter.simulation.after(DELAY, lambda: self._to_getter(data))
        if source.dies_after is not None and source.sent >= source.dies_after:
            self.getter.simulation.after(2 * DELAY, source.die)
        elif self._waiting and portion:
            self._sending = True
            self.getter.simulation.after(QUANTUM, self._go_on)

    def _go_on(self) -> None:
        self._sending = False
        self._send()

    def _to_getter(self, data: bytes) -> None:
        if not self.open:
            return
        try:
            for event in pour(self.protocol, data):
                self.getter.handle_peer_event(event)
                if not self.open:
                    return
        except RemoteError as error:
            self.close(error.message)
        self.getter.poll()

    def close(self, reason: str) -> None:
        """Close the stream from the source's side, or for a broken rule.

        The getter is notified.
        """
        if self.open:
            self.open = False
            getter = self.getter
            if getter.stream is self:
                getter.stream = None
                getter.simulation.after(DELAY, lambda: getter.failed(reason, self))
                getter.lost_stream = self


class Getter(Downloader):
    """The downloading peer of the simulated world.

    It has a session, a :class:`SingleDownload`, and the download's runner with real files in ``directory``.
    """

    def __init__(
        self,
        world: World,
        directory: Path,
        *,
        name: str = NAME,
        seed: int = 1,
        patience: Timeouts | None = None,
        peer: str = "leecher",
        ip: str = "198.18.0.200",
        known: Membership | None = None,
        info: Info | None = None,
    ) -> None:
        super().__init__(
            world.simulation,
            UdpLink(world.simulation, world.rng, world.trouble),
            world.tracker,
            directory / name,
            name=peer,
            endpoint=Endpoint(ip, 6881),
            # Not the download's seed: two runs with the same choices are two peers all the same.
            seed=500 + len(world.getters),
            known=known,
        )
        self.world = world
        self.stream: Stream | None = None
        self.lost_stream: Stream | None = None
        self.verified: dict[int, float] = {}
        self.disk_full_after: int | None = None
        """Pieces after which the disk is full."""
        self._connecting: object = None
        self.listen()
        task = DownloadTask(name, self.identity, self.session, self.report, patience or Timeouts(), self.exists, info)
        self.download = SingleDownload(task, random.Random(seed), self.now)
        self.poll()

    @property
    def running_download(self) -> SingleDownload:
        return self.download

    def poll(self) -> None:
        if not self.alive:
            return
        self.step(lambda it: it.tick(self.now))
        if self.stream is not None:
            self.stream.flush()
        super().poll()
        self.poll_at(self.download.due())

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Connect(endpoint):
                self.connect(endpoint)
            case Disconnect():
                self.disconnect()
            case _:
                super().carry_out(effect)

    def handle_peer_event(self, event: PeerProtocolEvent) -> None:
        self.step(lambda _: self.download.handle_peer_event(event, self.now))

    def source_failed(self, reason: str) -> None:
        self.step(lambda _: self.download.source_failed(reason, self.simulation.now))

    def connect(self, endpoint: Endpoint) -> None:
        self._connecting = token = object()
        source = next((one for one in self.world.sources if one.endpoint == endpoint), None)

        def answered() -> None:
            if self._connecting is not token or not self.alive:
                return
            now = self.simulation.now
            if source is None or source.refuses or not source.alive:
                self.source_failed("connection refused")
            else:
                stream = self.stream = Stream(self, source)
                self.step(lambda _: self.download.connected(stream.protocol, now))
            self.poll()

        def unanswered() -> None:
            if self._connecting is token:
                self.source_failed("no reply to the connection attempt")
                self.poll()

        if source is not None and source.ignores:
            self.simulation.after(5.0, unanswered)
        else:
            self.simulation.after(2 * DELAY, answered)

    def disconnect(self) -> None:
        self._connecting = self.lost_stream = None
        if self.stream is not None:
            self.stream.open = False
            self.stream = None

    def failed(self, reason: str, stream: Stream) -> None:
        if self.lost_stream is stream and self.stream is None:
            self.lost_stream = None
            self.source_failed(reason)
            self.poll()

    def put(self, piece: int, data: bytearray) -> bool:
        if self.disk_full_after is not None and len(self.verified) >= self.disk_full_after:
            raise StorageError("no space left for the part", hint="free some space and start again")
        verified = super().put(piece, data)
        if verified:
            assert piece not in self.verified
            self.verified[piece] = self.now
        return verified

    # -- for tests ---------------------------------------------------------------------------------

    def until_ended(self, seconds: float = 600.0) -> Phase:
        """Let time pass until the download has ended and the tracker knows."""
        assert self.run(seconds, lambda: self.ended), f"{self.phase} after {seconds} s: {self.event_lines[-5:]}"
        phase = self.download.phase
        self.run(1.0)
        return phase

    def kill(self) -> None:
        """Die, as by SIGKILL."""
        self.alive = False
        self.disconnect()


class World:
    """The tracker, the sources, the getters and the clock.

    ``directory`` holds one directory for each peer.
    """

    def __init__(
        self, directory: Path, *, size: int = 40 * PIECE + 100, seed: int = 1, trouble: Trouble | None = None
    ) -> None:
        self.simulation = Simulation()
        self.rng = random.Random(seed)
        self.trouble = trouble or Trouble()
        self.tracker = RealTracker(self.simulation, seed=seed)
        self.directory = directory
        self.data = content(size, 1)
        self.sources: list[Source] = []
        self.getters: list[Getter] = []

    def _place(self, name: str) -> Path:
        directory = self.directory / name
        directory.mkdir()
        return directory

    def source(self, *, corrupt: tuple[int, ...] = (), name: str = "", publish: bool = True) -> Source:
        """Add a seed; it sends the pieces ``corrupt`` with a byte changed."""
        number = len(self.sources)
        name = name or f"seeder-{number}"
        path = self._place(name) / NAME
        path.write_bytes(self.data)
        store = open_complete(path, PIECE, nothing, never)
        if corrupt:
            altered = bytearray(self.data)
            for piece in corrupt:
                altered[piece * PIECE] ^= 0xFF
            path.write_bytes(altered)
        source = Source(self, number, store, name)
        self.sources.append(source)
        if publish:
            source.publish()
            self.simulation.run(0.5)
        return source

    def getter(self, peer: str = "leecher", **options: object) -> Getter:
        """Add a download that starts now."""
        directory = self.directory / peer
        directory.mkdir(exist_ok=True)
        ip = f"198.18.{1 + len(self.getters) // 200}.{1 + len(self.getters) % 200}"
        getter = Getter(self, directory, peer=peer, ip=ip, **options)  # type: ignore[arg-type]  # passed on
        self.getters.append(getter)
        return getter

    def close(self) -> None:
        """Close all files."""
        for source in self.sources:
            source.store.close()
        for getter in self.getters:
            for store in getter.stores:
                store.close()
