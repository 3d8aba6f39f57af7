"""tracker.py as a process on 127.0.0.1, with real datagrams."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests.unit.tracker.world import Client, TrackerError
from torrentnet.lab.engines.local.supervisor.nodes import STOP_GRACE
from torrentnet.runtime.events import Event, parse_event
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.outcome import OutcomeSource
from torrentnet.wire.udp.packets import AnnounceEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FILE = "my file.txt"
SOURCE = OutcomeSource(Endpoint("127.0.0.1", 6881), 32, "seeder-1")
DEADLINE_S = 60.0
LONG_TIMEOUT = ("--timeout", "2s")
"""For peers that must not expire between two steps of a test on a busy machine."""


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
        self._open_streams = 2
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
        with self._changed:
            self._open_streams -= 1
            self._changed.notify_all()

    def wait_line(self, *parts: str) -> str:
        """Wait for and return the first line of output that contains all ``parts``."""

        def found() -> str | None:
            return next((line for line in self.lines if all(part in line for part in parts)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or not self._open_streams, DEADLINE_S)
        line = found()
        assert line is not None, f"no line with {parts} in {self.lines} {self.errors}"
        return line

    def event(self, name: str, **fields: str) -> Event:
        """Wait for and return the first event with this name and these fields."""
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
        """Send a signal, and return the seconds until the process has ended."""
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


class Link:
    """Sends each request on a real socket until it is answered."""

    def __init__(self, tracker: tuple[str, int]) -> None:
        self.tracker = tracker
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.5)

    def send(self, data: bytes, source: tuple[str, int]) -> bytes:
        for _ in range(40):
            self.socket.sendto(data, self.tracker)
            with contextlib.suppress(TimeoutError):
                answer = self.socket.recv(2048)
                if answer[4:8] == data[12:16]:  # the transaction id
                    return answer
        raise AssertionError("the tracker does not answer")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def started() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def run(started: contextlib.ExitStack, *options: str, address: str = "127.0.0.1:0") -> Tracker:
    return started.enter_context(contextlib.closing(Tracker(*options, address=address)))


def join(started: contextlib.ExitStack, tracker: Tracker, name: str, port: int) -> Client:
    link = started.enter_context(contextlib.closing(Link(tracker.address)))
    return Client(link, name, ip="127.0.0.1", port=port)


def publish(started: contextlib.ExitStack, tracker: Tracker) -> Client:
    """Return a peer that has published the file."""
    seed = join(started, tracker, "seeder-1", 6881)
    assert seed.announce(AnnounceEvent.STARTED, name=FILE).interval == 5
    return seed


def test_publish_lookup_outcome_and_the_logs_by_a_pipe(started: contextlib.ExitStack) -> None:
    tracker = run(started, "--name", "the-tracker", *LONG_TIMEOUT)
    listening = tracker.event("listening").fields
    assert (listening["program"], listening["name"]) == ("tracker", "the-tracker")
    assert (listening["keepalive_ms"], listening["timeout_ms"]) == ("200", "2000")
    publish(started, tracker)
    assert tracker.event("published").fields["file"] == "my file.txt"
    leecher = join(started, tracker, "leecher-1", 6882)
    found = leecher.lookup(FILE)
    assert [holder.name for holder in found.holders] == ["seeder-1"]
    leecher.outcome(found.request, sources=(SOURCE,))
    tracker.event("outcome", result="succeeded")
    tracker.type("request logs")
    row = tracker.wait_line("leecher-1", "get 'my file.txt'")
    assert "succeeded from seeder-1 (8 MiB in 0.12 s)" in row
    tracker.event("forgotten", peer="seeder-1")
    tracker.type("file_logs 'my file.txt'")
    gone = re.search(r"gone \(silent for ([\d.]+) s\)", tracker.wait_line("seeder-1", "all 32", "gone"))
    assert gone is not None
    assert float(gone[1]) >= 2.0
    tracker.type("file_logs nope")
    tracker.wait_line("error: unknown file nope")
    tracker.type("quit")
    assert tracker.process.wait(DEADLINE_S) == 0
    assert tracker.event("closing").fields == {"reason": "quit"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_tracker_before_it_is_killed(started: contextlib.ExitStack, number: signal.Signals) -> None:
    tracker = run(started)
    publish(started, tracker)
    assert tracker.end(number) < STOP_GRACE
    assert tracker.process.returncode == 0
    assert tracker.event("closing").fields == {"reason": number.name}
    assert tracker.errors == []


def test_interrupt_during_the_start_is_silent() -> None:
    """The interpreter names each module that it has imported: the first is ours."""
    for program in ("tracker.py", "peer.py"):
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", str(ROOT / program), "--help"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        with process.stderr as errors:
            for line in errors:
                if line.rstrip().endswith("early_interrupt"):
                    process.send_signal(signal.SIGINT)
                    break
            rest = errors.read()
        assert process.wait(DEADLINE_S) == 130
        assert "Traceback" not in rest


def test_too_few_descriptors_are_named_in_one_line() -> None:
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 9; exec "$@"', "bash", sys.executable, str(ROOT / "tracker.py"), "127.0.0.1:0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"tracker\.py: error: this process may open only \d more files and sockets, and needs 24"
        r" \(raise the limit, for example with: ulimit -n 256\)\n",
        done.stderr,
    )


def test_signal_ends_the_tracker_during_a_flood(started: contextlib.ExitStack) -> None:
    tracker = run(started)
    link = started.enter_context(contextlib.closing(Link(tracker.address)))
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            link.socket.sendto(packets.pack_connect(1), link.tracker)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        assert tracker.end(signal.SIGTERM) < STOP_GRACE
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert tracker.process.returncode == 0


def test_restarted_tracker_has_its_logs_and_learns_of_its_peers(started: contextlib.ExitStack, tmp_path: Path) -> None:
    first = run(started, "--state", str(tmp_path), *LONG_TIMEOUT)
    seed = publish(started, first)
    leecher = join(started, first, "leecher-1", 6882)
    done, waiting = leecher.lookup(FILE).request, leecher.lookup("other.txt").request
    leecher.outcome(done, sources=(SOURCE,))
    time.sleep(0.2)  # a killed tracker may lose the records of this time
    first.end(signal.SIGKILL)

    again = run(started, "--state", str(tmp_path), *LONG_TIMEOUT, address=f"127.0.0.1:{first.address[1]}")
    assert again.address == first.address
    again.type("file_logs -all")
    again.wait_line("seeder-1", "not heard since restart")
    with pytest.raises(TrackerError, match=r"^connection id refused: connect again$"):
        seed.announce(name=FILE)
    seed.connect()
    with pytest.raises(TrackerError, match=r"^unknown peer:"):
        seed.announce(name=FILE)
    seed.announce(AnnounceEvent.STARTED, name=FILE)
    again.event("published", peer="seeder-1")
    leecher.connect()
    assert leecher.lookup("other.txt", request=waiting).request == waiting
    again.event("outcome", id=str(waiting), result="lost")
    again.type("request logs")
    assert "succeeded from seeder-1" in again.wait_line(" get 'my file.txt' ")
    again.wait_line(" get other.txt ", "lost with the peer")
    assert leecher.lookup(FILE).request == waiting + 1


def test_second_tracker_on_the_same_state_is_refused(started: contextlib.ExitStack, tmp_path: Path) -> None:
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


def test_commands_are_answered_on_the_console_socket(started: contextlib.ExitStack, tmp_path: Path) -> None:
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
    assert tracker.end(signal.SIGTERM) < STOP_GRACE
    assert not path.exists()


def test_runs_with_nothing_on_standard_input(started: contextlib.ExitStack) -> None:
    tracker = started.enter_context(contextlib.closing(Tracker(stdin=subprocess.DEVNULL)))
    publish(started, tracker)
    assert tracker.end(signal.SIGTERM) < STOP_GRACE


def test_input_that_ends_does_not_end_the_tracker(started: contextlib.ExitStack) -> None:
    tracker = run(started)
    tracker.event("listening")
    assert tracker.process.stdin is not None
    tracker.process.stdin.close()
    publish(started, tracker)
    tracker.event("forgotten")
    assert tracker.process.poll() is None
