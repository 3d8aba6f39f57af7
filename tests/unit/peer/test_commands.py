"""The output of a peer's commands, to the letter."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.peer.streams import PIECE, content
from torrentnet.console.commands import Commands
from torrentnet.peer.commands import add_commands
from torrentnet.peer.response_log import ResponseLog
from torrentnet.peer.strategies.base import Phase
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.peer.node import Peer
    from torrentnet.peer.storage.file_store import FileStore

ENDPOINT = Endpoint("127.0.0.1", 52_612)
NOON = 1_795_435_200.0
DATA = content(5 * PIECE)


@dataclass
class FakeDownload:
    phase: Phase = Phase.FETCHING
    sources: str = ""


@dataclass
class FakePeer:
    """A peer as ``status`` reads it."""

    store: FileStore | None = None
    download: FakeDownload | None = None
    state: str = "get"
    endpoint: Endpoint = ENDPOINT
    uploaded: int = 0
    connections: int = 0

    def running_for(self) -> float:
        return 75.0


@dataclass
class Console:
    """A command line with its output and its errors."""

    peer: FakePeer = field(default_factory=FakePeer)
    quits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        ticks = iter(NOON + number * 0.0125 for number in range(100_000))
        self.log = ResponseLog(lambda: next(ticks), limit=5_000)
        self.commands = Commands("peer", name="leecher-1", on_quit=lambda: self.quits.append("quit"))
        add_commands(self.commands, cast("Peer", self.peer), self.log)

    def run(self, line: str) -> tuple[int, list[str], list[str]]:
        out: list[str] = []
        err: list[str] = []
        return self.commands.execute(line, out.append, err.append), out, err


@pytest.fixture
def console() -> Console:
    return Console()


def fill(console: Console) -> None:
    add = console.log.add
    add("tracker", "myfile.txt: 6000 bytes, complete at seeder-1, seeder-2")
    add("seeder-2", "picked among 2")
    add("seeder-2", "info dictionary of 3 pieces", size=160, elapsed=0.0021, verdict="verified")
    add("seeder-2", "piece 0", size=262_144, elapsed=0.0312, verdict="verified")
    add("seeder-2", "piece 1", size=262_144, elapsed=1.5, verdict="thrown away: wrong hash")
    add("seeder-2", "source lost", verdict="sent a wrong piece")


TABLE = """\
TIME           FROM      RESPONSE                                                 BYTES      MS  RESULT
12:00:00.000Z  tracker   myfile.txt: 6000 bytes, complete at seeder-1, seeder-2       -       -  -
12:00:00.012Z  seeder-2  picked among 2                                               -       -  -
12:00:00.025Z  seeder-2  info dictionary of 3 pieces                                160     2.1  verified
12:00:00.037Z  seeder-2  piece 0                                                 262144    31.2  verified
12:00:00.050Z  seeder-2  piece 1                                                 262144  1500.0  thrown away: wrong hash
12:00:00.062Z  seeder-2  source lost                                                  -       -  sent a wrong piece
"""


def test_request_logs(console: Console) -> None:
    fill(console)
    assert console.run("request logs") == (0, TABLE.splitlines(), [])


def test_request_logs_of_the_newest_entries(console: Console) -> None:
    fill(console)
    status, out, _ = console.run("request logs --last 2")
    assert status == 0
    assert out == [
        "TIME           FROM      RESPONSE      BYTES      MS  RESULT",
        "12:00:00.050Z  seeder-2  piece 1      262144  1500.0  thrown away: wrong hash",
        "12:00:00.062Z  seeder-2  source lost       -       -  sent a wrong piece",
    ]


def test_request_logs_as_json(console: Console) -> None:
    fill(console)
    status, out, _ = console.run("request logs --json --last 3")
    assert status == 0
    assert [json.loads(line) for line in out] == [
        {
            "time": "12:00:00.037Z",
            "from": "seeder-2",
            "response": "piece 0",
            "bytes": 262_144,
            "ms": 31.2,
            "result": "verified",
        },
        {
            "time": "12:00:00.050Z",
            "from": "seeder-2",
            "response": "piece 1",
            "bytes": 262_144,
            "ms": 1_500.0,
            "result": "thrown away: wrong hash",
        },
        {
            "time": "12:00:00.062Z",
            "from": "seeder-2",
            "response": "source lost",
            "bytes": None,
            "ms": None,
            "result": "sent a wrong piece",
        },
    ]


def test_an_empty_log_is_reported(console: Console) -> None:
    assert console.run("request logs") == (0, ["no response was received yet"], [])
    assert console.run("request logs --json") == (0, [], [])


def test_dropped_entries_are_counted(console: Console) -> None:
    for number in range(5_003):
        console.log.add("seeder-1", f"piece {number}")
    status, out, _ = console.run("request logs")
    assert status == 0
    assert out[0] == "(3 older responses are no longer kept)"
    assert len(out) == 5_002


def test_names_from_the_network_are_escaped(console: Console) -> None:
    console.log.add("evil\x1b[2Jpeer", "piece 0\r\n", verdict="\u202efine")
    _, out, _ = console.run("request logs")
    assert all(line.isprintable() for line in out)
    assert len(out) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("request logs --last 0", "error: --last must be at least 1"),
        ("request logs --last -5", "error: --last must be at least 1"),
        (
            "request logs --last few",
            "error: argument --last: invalid int value: 'few'; usage: request logs [--last N] [--json]",
        ),
        (
            "request logs --last",
            "error: argument --last: expected one argument; usage: request logs [--last N] [--json]",
        ),
        ("request logs today", "error: unrecognized arguments: today; usage: request logs [--last N] [--json]"),
        ("request logs --js", "error: unrecognized arguments: --js; usage: request logs [--last N] [--json]"),
    ],
)
def test_wrong_arguments_are_refused(console: Console, line: str, message: str) -> None:
    assert console.run(line) == (2, [], [message])


def test_unknown_commands_are_refused(console: Console) -> None:
    for line in ("file_logs -all", "nope"):
        status, out, err = console.run(line)
        assert (status, out) == (2, [])
        assert len(err) == 1
        assert "help" in err[0]


def test_help_lists_every_command(console: Console) -> None:
    status, out, _ = console.run("help")
    assert status == 0
    for words in ("request logs [--last N] [--json]", "status", "quit", "help"):
        assert any(words in line for line in out)


def test_status_before_the_file_is_open(console: Console) -> None:
    console.peer.download = FakeDownload(Phase.LOOKING_UP)
    assert console.run("status") == (
        0,
        [
            "state        get",
            "listens on   127.0.0.1:52612",
            "running for  1m15s",
            "download     asking the tracker",
            "serving      0 connections",
            "uploaded     0 B",
        ],
        [],
    )


def test_status_in_mid_download(console: Console, store: FileStore) -> None:
    store.held = PieceSet(5, [0, 1, 4])
    source = "seeder-1 127.0.0.1:52611"
    console = Console(FakePeer(store, FakeDownload(Phase.FETCHING, source), connections=2, uploaded=3 * 1024 * 1024))
    assert console.run("status") == (
        0,
        [
            "state        get",
            "listens on   127.0.0.1:52612",
            "running for  1m15s",
            f"file         {store.path} (160 KiB)",
            "pieces       0-1, 4 (3 of 5)",
            f"info-hash    {store.info.info_hash.hex()}",
            "download     fetching",
            "source       seeder-1 127.0.0.1:52611",
            "serving      2 connections",
            "uploaded     3 MiB",
        ],
        [],
    )


def test_status_of_a_seed(console: Console, store: FileStore) -> None:
    console = Console(FakePeer(store, state="seed", connections=1))
    _, out, _ = console.run("status")
    assert out[0] == "state        seed"
    assert "pieces       all 5" in out
    assert not any(line.startswith(("download", "source")) for line in out)
    # The singular.
    assert "serving      1 connection" in out


def test_status_refuses_arguments(console: Console) -> None:
    status, out, err = console.run("status please")
    assert (status, out) == (2, [])
    assert err


def test_quit_ends_the_peer(console: Console) -> None:
    assert console.run("quit")[0] == 0
    assert console.quits == ["quit"]


def test_completion(console: Console) -> None:
    assert console.commands.complete("re") == ["request"]
    assert console.commands.complete("request ") == ["logs"]
    assert console.commands.complete("request logs --") == ["--json", "--last"]
