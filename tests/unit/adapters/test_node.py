"""A client node emits the lab's events and verifies what its client reports."""

from __future__ import annotations

import hashlib
import select
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from torrentnet.adapters import node as node_module
from torrentnet.adapters.adapter import AdapterError, ClientAdapter, ClientSettings, ClientStatus
from torrentnet.adapters.node import ClientNode, VerificationError, verify_file
from torrentnet.runtime.events import Event, EventLog, parse_event
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.info import Info, make_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Step = ClientStatus | Callable[[], ClientStatus]

PIECE = 16 * 1024
DATA = bytes(range(256)) * 200
EMPTY = ClientStatus(0, complete=False, announced=False)
COMPLETE = ClientStatus(4, complete=True, announced=True, downloaded=len(DATA))


def info_of(data: bytes) -> Info:
    hashes = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
    return make_info("a.bin", len(data), PIECE, hashes)


class Scripted(ClientAdapter):
    """A client that reports each step in turn, and stops its node after the last step."""

    name = "scripted"

    def __init__(self, settings: ClientSettings, steps: Iterator[Step]) -> None:
        super().__init__(settings, lambda line: None)
        self.steps = steps
        self.status = EMPTY
        self.node: ClientNode | None = None
        self.stopped = 0

    def version(self) -> str:
        return "1.0"

    def start(self) -> None:
        pass

    def wait(self, timeout: float, wake: int) -> None:
        select.select([wake], [], [], min(timeout, 0.01))

    def poll(self) -> ClientStatus:
        step = next(self.steps, None)
        if step is None:
            assert self.node is not None
            self.node.stop("over")
        else:
            self.status = step if isinstance(step, ClientStatus) else step()
        return self.status

    def stop(self, timeout: float) -> None:
        self.stopped += 1


@dataclass
class Trial:
    """Run a node with a scripted client."""

    directory: Path
    seed: bool = False

    def run(self, *steps: Step) -> list[Event]:
        return self.run_all(iter(steps))

    def run_all(self, steps: Iterator[Step]) -> list[Event]:
        settings = ClientSettings(
            info=info_of(DATA),
            torrent=self.directory / "a.torrent",
            seed=self.seed,
            directory=self.directory,
            state=self.directory,
            listen=Endpoint("127.0.0.1", 6881),
            tracker=Endpoint("127.0.0.1", 6771),
            upload_rate=None,
        )
        self.lines: list[str] = []
        self.client = Scripted(settings, steps)
        node = self.client.node = ClientNode("leecher-1", self.client, settings, EventLog(self.lines.append))
        try:
            self.status = node.run()
        finally:
            self.events = [event for line in self.lines if (event := parse_event(line))]
        return self.events

    def named(self, name: str) -> list[dict[str, str]]:
        return [dict(event.fields) for event in self.events if event.name == name]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_a_leecher_emits_progress_completion_and_states(trial: Trial) -> None:
    def done() -> ClientStatus:
        (trial.directory / "a.bin").write_bytes(DATA)
        return COMPLETE

    events = trial.run(EMPTY, replace(EMPTY, pieces_held=2), done)
    assert [event.name for event in events] == [
        *("listening", "state", "progress", "progress", "completed", "state", "closing"),
    ]
    assert trial.named("listening")[0] == {
        "program": "scripted",
        "version": "1.0",
        "name": "leecher-1",
        "address": "127.0.0.1:6881",
    }
    assert [fields["have"] for fields in trial.named("progress")] == ["2", "4"]
    assert [fields["state"] for fields in trial.named("state")] == ["get", "seed"]
    assert (trial.status, trial.client.stopped) == (0, 1)


def test_a_complete_report_of_a_wrong_file_fails(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "FLUSH_TIMEOUT", 0.0)
    monkeypatch.setattr(node_module, "SEED_POLL_INTERVAL", 0.0)
    (trial.directory / "a.bin").write_bytes(DATA[:-1] + b"x")
    with pytest.raises(
        AdapterError, match=r"^scripted reports a complete file, but piece 3 of .*a\.bin has the wrong SHA-1$"
    ):
        trial.run(*[COMPLETE] * 10)
    assert not trial.named("completed")
    assert trial.client.stopped == 1


def test_a_late_flush_to_disk_is_awaited(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "SEED_POLL_INTERVAL", 0.0)
    path = trial.directory / "a.bin"
    path.write_bytes(DATA[:100])

    def flushed() -> ClientStatus:
        path.write_bytes(DATA)
        return COMPLETE

    trial.run(COMPLETE, COMPLETE, flushed, COMPLETE)
    assert len(trial.named("completed")) == 1


def test_a_seed_is_published_once_the_tracker_has_answered(trial: Trial) -> None:
    trial.seed = True
    (trial.directory / "a.bin").write_bytes(DATA)
    trial.run(*[replace(COMPLETE, announced=False)] * 3)
    assert not trial.named("published")
    trial.run(replace(COMPLETE, announced=False), COMPLETE)
    (published,) = trial.named("published")
    assert (published["size"], published["pieces"]) == (str(len(DATA)), "4")
    assert [fields["state"] for fields in trial.named("state")] == ["seed"]


def test_a_node_fails_when_its_client_exits(trial: Trial) -> None:
    def dead() -> ClientStatus:
        raise AdapterError("aria2 exited with status 7: cannot bind")

    with pytest.raises(AdapterError, match="exited with status 7: cannot bind"):
        trial.run(EMPTY, dead)
    assert trial.client.stopped == 1


def test_another_thread_can_stop_a_node(trial: Trial) -> None:
    started = threading.Event()

    def forever() -> Iterator[ClientStatus]:
        while True:
            started.set()
            yield EMPTY

    def stop() -> None:
        started.wait(10)
        assert trial.client.node is not None
        trial.client.node.stop("SIGTERM")

    thread = threading.Thread(target=stop)
    thread.start()
    events = trial.run_all(forever())
    thread.join()
    assert events[-1].fields["reason"] == "SIGTERM"


# -- Verification ----------------------------------------------------------------------------------


def test_a_matching_file_is_verified(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(DATA)
    assert verify_file(tmp_path / "a.bin", info_of(DATA)) == hashlib.sha256(DATA).hexdigest()


def test_an_empty_file_is_verified(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"")
    assert verify_file(tmp_path / "a.bin", info_of(b"")) == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (DATA[:20_000] + b"x" + DATA[20_001:], "piece 1 of {path} has the wrong SHA-1"),
        (DATA[:-1], "piece 3 of {path} has the wrong SHA-1"),
        (b"", "piece 0 of {path} has the wrong SHA-1"),
        (DATA + b"x", "{path} is longer than its .torrent says"),
        (None, "{path}: no such file or directory"),
    ],
    ids=["a-byte-changed", "too-short", "empty", "too-long", "missing"],
)
def test_another_file_is_rejected_with_a_reason(tmp_path: Path, data: bytes | None, problem: str) -> None:
    path = tmp_path / "a.bin"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(VerificationError) as caught:
        verify_file(path, info_of(DATA))
    assert caught.value.message == problem.format(path=path)
