"""The real tracker.py as a process on 127.0.0.1, spoken to in raw datagrams."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from torrentnet.runtime.events import Event, parse_event
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.lookup import LookupReply, LookupRequest, pack_lookup, parse_lookup_reply
from torrentnet.wire.udp.outcome import OutcomeReport, OutcomeResult, OutcomeSource, pack_outcome, parse_outcome_reply
from torrentnet.wire.udp.packets import Action, AnnounceEvent, AnnounceReply, AnnounceRequest
from torrentnet.wire.udp.url_data import Publication, pack_publication

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HASH = bytes(range(20))
DEADLINE_S = 20.0


class Tracker:
    """tracker.py, its output, and its input as a pipe."""

    def __init__(self, *options: str, address: str = "127.0.0.1:0", stdin: int = subprocess.PIPE) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "TORRENTNET_CONSOLE"}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tracker.py"), address, "--keepalive", "200ms", "--timeout", "600ms", *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_line(self, *parts: str) -> str:
        """The first line of output that holds all these parts."""

        def found() -> str | None:
            return next((line for line in self.lines if all(part in line for part in parts)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self.process.poll() is not None, DEADLINE_S)
        line = found()
        assert line is not None, f"no line with {parts} in {self.lines} {self.errors}"
        return line

    def event(self, name: str, **fields: str) -> Event:
        """The first such event."""
        parsed = parse_event(self.wait_line(f"Z {name} ", *(f" {key}={value}" for key, value in fields.items())))
        assert parsed is not None
        return parsed

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.event("listening").fields["address"].rpartition(":")
        return host, int(port)

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, number: int) -> float:
        """Send a signal; gives the seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(DEADLINE_S)
        taken = time.monotonic() - began
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return taken

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Peer:
    """Raw datagrams, repeated until answered."""

    def __init__(self, name: str, tracker: tuple[str, int]) -> None:
        self.name = name
        self.peer_id = b"-XT0100-" + name.encode().ljust(12, b".")[:12]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = 6881
        self.tracker = tracker
        self.tid = int.from_bytes(os.urandom(3), "big")
        self.connection = 0

    def ask(self, data: bytes) -> packets.ReplyPacket:
        self.socket.settimeout(0.5)
        for _ in range(40):
            self.socket.sendto(data, self.tracker)
            try:
                reply = packets.parse_reply(self.socket.recv(2048))
            except TimeoutError:
                continue
            if reply.transaction_id == int.from_bytes(data[12:16], "big"):
                return reply
        raise AssertionError("the tracker does not answer")

    def connect(self) -> None:
        self.tid += 1
        self.connection = packets.parse_connect_reply(self.ask(packets.pack_connect(self.tid)))

    def announce(self, event: AnnounceEvent = AnnounceEvent.NONE, left: int = 0) -> packets.ReplyPacket:
        self.tid += 1
        options = pack_publication(Publication("my file.txt", 1 << 20, 1 << 18, self.name, extended=True))
        return self.ask(
            packets.pack_announce(
                AnnounceRequest(
                    self.connection, self.tid, HASH, self.peer_id, 0, left, 0, event, 0, 0, -1, self.port, options
                )
            )
        )

    def announced(self, event: AnnounceEvent = AnnounceEvent.NONE, left: int = 0) -> AnnounceReply:
        reply = self.announce(event, left)
        assert reply.action == Action.ANNOUNCE, packets.parse_error(reply)
        return packets.parse_announce_reply(reply)

    def lookup(self, name: str = "my file.txt", request: int = 0) -> LookupReply:
        self.tid += 1
        packet = LookupRequest(self.connection, self.tid, 0, request, self.peer_id, self.port, name, self.name)
        return parse_lookup_reply(self.ask(pack_lookup(packet)))

    def succeed(self, request: int, source: str) -> None:
        self.tid += 1
        sources = (OutcomeSource(Endpoint("127.0.0.1", 6881), 4, source),)
        outcome = OutcomeReport(
            self.connection,
            self.tid,
            OutcomeResult.SUCCEEDED,
            self.port,
            HASH,
            self.peer_id,
            request,
            1 << 20,
            40,
            sources,
            "",
        )
        parse_outcome_reply(self.ask(pack_outcome(outcome)))


@pytest.fixture
def started() -> Iterator[list[Tracker | Peer]]:
    """Whatever is put in here is closed."""
    made: list[Tracker | Peer] = []
    yield made
    for one in made:
        if isinstance(one, Tracker):
            one.close()
        else:
            one.socket.close()


def run(started: list[Tracker | Peer], *options: str, address: str = "127.0.0.1:0") -> Tracker:
    tracker = Tracker(*options, address=address)
    started.append(tracker)
    return tracker


def join(started: list[Tracker | Peer], tracker: Tracker, name: str, port: int) -> Peer:
    peer = Peer(name, tracker.address)
    peer.port = port
    started.append(peer)
    peer.connect()
    return peer


def test_publish_lookup_outcome_and_the_logs_by_a_pipe(started: list[Tracker | Peer]) -> None:
    tracker = run(started, "--name", "the-tracker")
    listening = tracker.event("listening").fields
    assert (listening["program"], listening["name"]) == ("tracker", "the-tracker")
    assert (listening["keepalive_ms"], listening["timeout_ms"]) == ("200", "600")
    seed = join(started, tracker, "seeder-1", 6881)
    assert seed.announced(AnnounceEvent.STARTED).interval == 5
    assert tracker.event("published").fields["file"] == "my file.txt"
    leecher = join(started, tracker, "leecher-1", 6882)
    found = leecher.lookup()
    assert [holder.name for holder in found.holders] == ["seeder-1"]
    leecher.succeed(found.request, "seeder-1")
    tracker.event("outcome", result="succeeded")
    tracker.type("request logs")
    row = tracker.wait_line("leecher-1", "get 'my file.txt'")
    assert "succeeded from seeder-1 (1 MiB in 0.04 s)" in row
    tracker.event("forgotten", peer="seeder-1")
    tracker.type("file_logs 'my file.txt'")
    assert "gone (silent for 0.6 s)" in tracker.wait_line("seeder-1", "all 4", "gone")
    tracker.type("file_logs nope")
    tracker.wait_line("error: unknown file nope")
    tracker.type("quit")
    assert tracker.process.wait(DEADLINE_S) == 0
    assert tracker.event("closing").fields == {"reason": "quit"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_within_a_second(started: list[Tracker | Peer], number: signal.Signals) -> None:
    tracker = run(started)
    peer = join(started, tracker, "seeder-1", 6881)
    peer.announced(AnnounceEvent.STARTED)
    assert tracker.end(number) < 1.0
    assert tracker.process.returncode == 0
    assert tracker.event("closing").fields == {"reason": number.name}
    assert tracker.errors == []


def test_signal_in_the_middle_of_a_flood_ends_it(started: list[Tracker | Peer]) -> None:
    tracker = run(started)
    peer = join(started, tracker, "seeder-1", 6881)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            peer.socket.sendto(packets.pack_connect(1), tracker.address)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        assert tracker.end(signal.SIGTERM) < 5.0
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert tracker.process.returncode == 0


def test_killed_tracker_comes_back_with_its_logs_and_learns_its_peers_again(
    started: list[Tracker | Peer], tmp_path: Path
) -> None:
    first = run(started, "--state", str(tmp_path))
    seed = join(started, first, "seeder-1", 6881)
    seed.announced(AnnounceEvent.STARTED)
    leecher = join(started, first, "leecher-1", 6882)
    done, waiting = leecher.lookup().request, leecher.lookup("other.txt").request
    leecher.succeed(done, "seeder-1")
    time.sleep(0.2)  # what a killed tracker may lose at most
    first.end(signal.SIGKILL)

    again = run(started, "--state", str(tmp_path), address=f"127.0.0.1:{first.address[1]}")
    assert again.address == first.address
    again.type("file_logs -all")
    again.wait_line("seeder-1", "not heard since restart")
    refused = seed.announce()
    assert packets.parse_error(refused) == "connection id refused: connect again"
    seed.connect()
    assert packets.parse_error(seed.announce()).startswith("unknown peer:")
    seed.announced(AnnounceEvent.STARTED)
    again.event("published", peer="seeder-1")
    leecher.connect()
    assert leecher.lookup("other.txt", request=waiting).request == waiting
    again.event("outcome", id=str(waiting), result="lost")
    again.type("request logs")
    assert "succeeded from seeder-1" in again.wait_line(" get 'my file.txt' ")
    again.wait_line(" get other.txt ", "lost with the peer")
    assert leecher.lookup().request == waiting + 1


def test_second_tracker_on_the_same_state_is_refused(started: list[Tracker | Peer], tmp_path: Path) -> None:
    run(started, "--state", str(tmp_path)).event("listening")
    second = run(started, "--state", str(tmp_path))
    assert second.process.wait(DEADLINE_S) == 1
    second.close()
    assert second.errors == [
        (
            f"tracker.py: error: another tracker keeps its journal in {tmp_path / 'tracker.sqlite3'}"
            " (stop that tracker, or give --state another directory)"
        )
    ]
    assert second.lines == []


def test_commands_are_answered_on_the_console_socket(started: list[Tracker | Peer], tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    tracker = run(started, "--console", str(path))
    tracker.event("listening")
    environment = {**os.environ, "TORRENTNET_CONSOLE": str(path), "PYTHONPATH": str(ROOT)}
    for words, status, out, err in (
        (["request", "logs"], 0, "no request yet\n", ""),
        (["file_logs", "nope.txt"], 1, "", "error: unknown file nope.txt: nothing has been published yet\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "torrentnet.console", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, out, err)
    assert tracker.end(signal.SIGTERM) < 1.0
    assert not path.exists()


def test_runs_with_nothing_on_standard_input(started: list[Tracker | Peer]) -> None:
    tracker = Tracker(stdin=subprocess.DEVNULL)
    started.append(tracker)
    join(started, tracker, "seeder-1", 6881).announced(AnnounceEvent.STARTED)
    assert tracker.end(signal.SIGTERM) < 1.0


def test_input_that_ends_does_not_end_the_tracker(started: list[Tracker | Peer]) -> None:
    tracker = run(started)
    tracker.event("listening")
    assert tracker.process.stdin is not None
    tracker.process.stdin.close()
    join(started, tracker, "seeder-1", 6881).announced(AnnounceEvent.STARTED)
    tracker.event("forgotten")
    assert tracker.process.poll() is None
