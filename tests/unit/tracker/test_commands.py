"""The exact output of the tracker's commands."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker.world import EPOCH, HASH, OTHER_HASH, SIZE, TIMEOUT, Client, World, seeds
from torrentnet.console.commands import Commands
from torrentnet.runtime.system import MACHINE
from torrentnet.tracker.commands import CommandContext, add_commands
from torrentnet.tracker.journal.journal import Journal
from torrentnet.tracker.settings import Limits
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.info import Info, make_info
from torrentnet.wire.piece_set import PieceSet
from torrentnet.wire.udp.outcome import OutcomeResult, OutcomeSource
from torrentnet.wire.udp.packets import AnnounceEvent

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node:
    """A tracker with its command line, in virtual time."""

    def __init__(self, limits: Limits | None = None, known_files: tuple[Info, ...] = ()) -> None:
        self.journal = Journal()
        self.journal.start()
        self.world = World(write=self.journal.write_all, limits=limits, known_files=known_files)
        self.commands = Commands("tracker")
        system = replace(MACHINE, monotonic=lambda: self.world.now, wall_time=self.wall)
        context = CommandContext("tracker", "127.0.0.1:6771", self.world.core, self.journal, system)
        add_commands(self.commands, context)

    def wall(self) -> float:
        return EPOCH + self.world.now - self.world.started

    def run(self, line: str) -> tuple[int, str, str]:
        out: list[str] = []
        err: list[str] = []
        status = self.commands.execute(line, out.append, err.append)
        return status, "\n".join(out), "\n".join(err)

    def answer(self, line: str) -> str:
        status, out, err = self.run(line)
        assert (status, err) == (0, "")
        return out


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.journal.close()


def text(block: str) -> str:
    return dedent(block).strip("\n")


def play(node: Node) -> None:
    """Send a node the requests of three seeders and of several leechers.

    One of the seeders is killed. The leechers have every outcome.
    """
    world = node.world
    first, second, third = seeds(world, 3)
    world.pass_time(0.123)
    leechers = [Client(world, f"leecher-{number}", ip=f"10.0.2.{number}") for number in range(1, 6)]
    done, failed, lost, waiting, early = leechers
    numbers = [leecher.lookup().request for leecher in (done, failed, lost)]
    done.announce(AnnounceEvent.STARTED, left=SIZE)
    world.pass_time(0.877)
    done.announce(AnnounceEvent.COMPLETED)
    seed = OutcomeSource(Endpoint("10.0.1.2", 6881), 20, "seeder-2")
    other = OutcomeSource(Endpoint("10.0.1.3", 6881), 12, "seeder-3")
    done.outcome(numbers[0], sources=(seed,))
    failed.outcome(numbers[1], OutcomeResult.FAILED, sources=(seed, other), reason="no seed is left")
    early.lookup("my other file.txt")
    for _ in range(3):
        world.pass_time(0.7)
        for client in (second, third, done):
            client.announce()
        early.outcome(0)
    assert world.logged("forgotten")
    third.announce(AnnounceEvent.STOPPED)
    waiting.lookup()
    waiting.announce(AnnounceEvent.STARTED, left=SIZE)
    waiting.possess(PieceSet(32, [0, 1, 2, 3, 4, 9]))
    assert first.name == "seeder-1"


def test_request_logs(node: Node) -> None:
    play(node)
    assert node.answer("request logs") == text(
        """
        TIME                      ID  PEER       REQUEST                  OUTCOME                                                HOLDERS AT THE TIME
        2026-11-23T12:29:11.123Z   1  leecher-1  get myfile.txt           succeeded from seeder-2 (8 MiB in 0.12 s)              seeder-1, seeder-2, seeder-3
        2026-11-23T12:29:11.123Z   2  leecher-2  get myfile.txt           failed: no seed is left (0 B from seeder-2, seeder-3)  seeder-1, seeder-2, seeder-3
        2026-11-23T12:29:11.123Z   3  leecher-3  get myfile.txt           lost with the peer                                     seeder-1, seeder-2, seeder-3
        2026-11-23T12:29:12.000Z   4  leecher-5  get 'my other file.txt'  waiting                                                nobody
        2026-11-23T12:29:14.100Z   5  leecher-4  get myfile.txt           waiting                                                seeder-2, leecher-1
        """  # noqa: E501
    )


def test_request_logs_of_one_file_and_the_last_ones(node: Node) -> None:
    play(node)
    assert node.answer("request logs --file 'my other file.txt'") == text(
        """
        TIME                      ID  PEER       REQUEST                  OUTCOME  HOLDERS AT THE TIME
        2026-11-23T12:29:12.000Z   4  leecher-5  get 'my other file.txt'  waiting  nobody
        """
    )
    assert node.answer("request logs --last 1").splitlines()[1:] == [
        "2026-11-23T12:29:14.100Z   5  leecher-4  get myfile.txt  waiting  seeder-2, leecher-1"
    ]


def test_request_logs_as_json(node: Node) -> None:
    play(node)
    lines = node.answer("request logs --json").splitlines()
    assert json.loads(lines[0]) == {
        "id": 1,
        "time_ms": 1_795_436_951_123,
        "peer": "leecher-1",
        "address": "10.0.2.1:6881",
        "file": "myfile.txt",
        "holders": ["seeder-1", "seeder-2", "seeder-3"],
        "holders_total": 3,
        "outcome": "succeeded",
        "from": [{"peer": "seeder-2", "pieces": 20}],
        "bytes": SIZE,
        "ms": 120,
        "reason": "",
        "ended_ms": 1_795_436_952_000,
    }
    assert [json.loads(line)["outcome"] for line in lines] == ["succeeded", "failed", "lost", "waiting", "waiting"]


def test_file_logs_of_one_file(node: Node) -> None:
    play(node)
    assert node.answer("file_logs myfile.txt") == text(
        f"""
        myfile.txt
          published  2026-11-23T12:29:11.000Z by seeder-1 (10.0.1.1:6881)
          size       8 MiB (8388608 bytes), 32 pieces of 256 KiB
          info-hash  {HASH.hex()}
          holders    3 alive, 2 of them complete; 2 gone

          HOLDER     ADDRESS        PIECES            SINCE                     STATE
          seeder-1   10.0.1.1:6881  all 32            2026-11-23T12:29:11.000Z  gone (silent for 2.0 s) at 2026-11-23T12:29:13.000Z
          seeder-2   10.0.1.2:6881  all 32            2026-11-23T12:29:11.000Z  alive
          seeder-3   10.0.1.3:6881  all 32            2026-11-23T12:29:11.000Z  gone (said good-bye) at 2026-11-23T12:29:14.100Z
          leecher-1  10.0.2.1:6881  all 32            2026-11-23T12:29:11.123Z  alive
          leecher-4  10.0.2.4:6881  0-4, 9 (6 of 32)  2026-11-23T12:29:14.100Z  alive

          TIME                      EVENT      PEER       DETAIL
          2026-11-23T12:29:11.000Z  published  seeder-1   10.0.1.1:6881
          2026-11-23T12:29:11.000Z  published  seeder-2   10.0.1.2:6881
          2026-11-23T12:29:11.000Z  published  seeder-3   10.0.1.3:6881
          2026-11-23T12:29:11.123Z  requested  leecher-1  3 complete holders
          2026-11-23T12:29:11.123Z  requested  leecher-2  3 complete holders
          2026-11-23T12:29:11.123Z  requested  leecher-3  3 complete holders
          2026-11-23T12:29:11.123Z  joined     leecher-1  10.0.2.1:6881
          2026-11-23T12:29:12.000Z  completed  leecher-1  10.0.2.1:6881
          2026-11-23T12:29:12.000Z  succeeded  leecher-1  from seeder-2 (8 MiB in 0.12 s)
          2026-11-23T12:29:12.000Z  failed     leecher-2  no seed is left (0 B from seeder-2, seeder-3)
          2026-11-23T12:29:13.000Z  forgotten  seeder-1   silent for 2.0 s
          2026-11-23T12:29:13.123Z  lost       leecher-3  the peer was silent for 2.0 s
          2026-11-23T12:29:14.100Z  left       seeder-3   said good-bye
          2026-11-23T12:29:14.100Z  requested  leecher-4  2 complete holders
          2026-11-23T12:29:14.100Z  joined     leecher-4  10.0.2.4:6881
        """  # noqa: E501
    )


def test_file_logs_of_a_name_that_is_reserved() -> None:
    given = make_info("given.txt", 1000, 16384, bytes(20))
    node = Node(known_files=(given,))
    node.world.core.restore((), node.world.now)
    assert node.answer("file_logs given.txt").startswith(
        text(
            """
            given.txt
              published  never; the name is reserved since 2026-11-23T12:29:11.000Z, by its .torrent
              size       1000 bytes, 1 pieces of 16 KiB
            """
        ).rstrip("\n")
    )


def test_file_logs_of_all_files(node: Node) -> None:
    Client(node.world, "s", extended=False, peer_id=b"-LT2080-abcdefghijkl").announce(AnnounceEvent.STARTED, left=5)
    Client(node.world, "t", ip="10.0.0.2").announce(
        AnnounceEvent.STARTED, info_hash=OTHER_HASH, options=b"\x02\x1f/announce?tn=1&name=a&size=1000"
    )
    assert node.answer("file_logs -all") == text(
        f"""
        {HASH.hex()}
          published  never; known since 2026-11-23T12:29:11.000Z
          size       unknown
          info-hash  {HASH.hex()}
          holders    1 alive, 0 of them complete; 0 gone

          HOLDER                          ADDRESS        PIECES      SINCE                     STATE
          libtorrent-2.0.8@10.0.0.1:6881  10.0.0.1:6881  some of it  2026-11-23T12:29:11.000Z  alive

          TIME                      EVENT   PEER                            DETAIL
          2026-11-23T12:29:11.000Z  joined  libtorrent-2.0.8@10.0.0.1:6881  10.0.0.1:6881

        a
          published  2026-11-23T12:29:11.000Z by XT0100@10.0.0.2:6881 (10.0.0.2:6881)
          size       1000 bytes, number of pieces unknown
          info-hash  {OTHER_HASH.hex()}
          holders    1 alive, 1 of them complete; 0 gone

          HOLDER                ADDRESS        PIECES  SINCE                     STATE
          XT0100@10.0.0.2:6881  10.0.0.2:6881  all     2026-11-23T12:29:11.000Z  alive

          TIME                      EVENT      PEER                  DETAIL
          2026-11-23T12:29:11.000Z  published  XT0100@10.0.0.2:6881  10.0.0.2:6881
        """
    )


def test_holders_are_unheard_after_a_restart(node: Node) -> None:
    play(node)
    node.journal.flush()
    node.journal.read("UPDATE holdings SET state = 'unheard' WHERE state = 'alive'", ())
    assert "all 32            2026-11-23T12:29:11.000Z  not heard since restart" in node.answer("file_logs myfile.txt")


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("file_logs nope.txt", 1, "unknown file nope.txt; known files: myfile.txt"),
        ("file_logs myfile.tx", 1, "unknown file myfile.tx; did you mean myfile.txt?"),
        (
            "file_logs",
            2,
            "which file? file_logs -all | file_logs NAME (put a name with spaces in quotes)",
        ),
        (
            "file_logs my file.txt",
            2,
            "which file? file_logs -all | file_logs NAME (put a name with spaces in quotes)",
        ),
        ("request logs --last", 2, "--last needs a value: request logs [--last N] [--file NAME] [--json]"),
        ("request logs --last 0", 2, "--last needs a number from 1 on, not 0"),
        ("request logs --last many", 2, "--last needs a number from 1 on, not many"),
        ("request logs now", 2, "unknown argument now: request logs [--last N] [--file NAME] [--json]"),
        ("peers all", 2, "unknown argument all: peers [--json]"),
        ("peers --json all", 2, "unknown argument all: peers [--json]"),
        ("status all", 2, "status takes no arguments: all"),
    ],
)
def test_wrong_commands_are_explained(node: Node, line: str, status: int, message: str) -> None:
    play(node)
    assert node.run(line) == (status, "", f"error: {message}")


def test_unknown_file_lists_some_known_ones(node: Node) -> None:
    assert node.run("file_logs x")[2] == "error: unknown file x: nothing has been published yet"
    client = Client(node.world, "s")
    for number in range(12):
        client.announce(AnnounceEvent.STARTED, info_hash=bytes([number]) * 20, name=f"file {number:02}")
    assert node.run("file_logs x") == (
        1,
        "",
        "error: unknown file x; known files: " + ", ".join(f"'file {number:02}'" for number in range(10)) + ", ...",
    )


def test_empty_journal(node: Node) -> None:
    assert node.answer("request logs") == "no request yet"
    assert node.answer("request logs --json") == ""
    assert node.answer("request logs --file a") == "no request for a yet"
    assert node.answer("file_logs -all") == "no file yet"
    assert node.answer("peers") == "no peer is registered"
    assert node.answer("peers --json") == ""


def test_peers_as_json(node: Node) -> None:
    play(node)
    node.world.pass_time(0.25)
    rows = [json.loads(line) for line in node.answer("peers --json").splitlines()]
    assert [row["peer"] for row in rows] == ["seeder-2", "leecher-1", "leecher-4"]
    assert rows[2] == {
        "peer": "leecher-4",
        "address": "10.0.2.4:6881",
        "file": "myfile.txt",
        "pieces": "0-4, 9 (6 of 32)",
        "complete": False,
        "since_ms": rows[2]["since_ms"],
        "silent_ms": 250,
    }
    assert rows[2]["since_ms"] - rows[1]["since_ms"] == 2977


def test_peers(node: Node) -> None:
    play(node)
    Client(node.world, "x", ip="10.0.0.3", extended=False, peer_id=b"A2-1-36-0-0123456789").announce(left=SIZE // 4)
    node.world.pass_time(0.25)
    assert node.answer("peers") == text(
        """
        PEER                        ADDRESS        FILE        PIECES            SINCE                     HEARD
        seeder-2                    10.0.1.2:6881  myfile.txt  all 32            2026-11-23T12:29:11.000Z  250ms ago
        leecher-1                   10.0.2.1:6881  myfile.txt  all 32            2026-11-23T12:29:11.123Z  250ms ago
        leecher-4                   10.0.2.4:6881  myfile.txt  0-4, 9 (6 of 32)  2026-11-23T12:29:14.100Z  250ms ago
        aria2-1.36.0@10.0.0.3:6881  10.0.0.3:6881  myfile.txt  75 % of 32        2026-11-23T12:29:14.100Z  250ms ago
        """
    )


def test_status(node: Node) -> None:
    play(node)
    node.world.send(b"short", ("10.0.0.9", 1))
    assert node.answer("status") == text(
        f"""
        name        tracker
        address     127.0.0.1:6771
        keep-alive  500ms, forgotten after 2s
        peers       3
        files       1 held now, 1 in the journal
        requests    2 waiting, 5 in the journal
        journal     in memory
        packets     {node.world.core.received} received
                    1 too short
        """
    )


def test_row_names_a_hundred_holders_and_counts_the_rest() -> None:
    node = Node(limits=Limits(named_holders=2))
    seeds(node.world, 5)
    Client(node.world, "leecher-1").lookup()
    assert node.answer("request logs").splitlines()[1].endswith("seeder-1, seeder-2 and 3 more")
    node.journal.close()


def test_arguments_are_completed(node: Node) -> None:
    play(node)
    assert node.commands.complete("file_logs m") == ["myfile.txt"]
    assert node.commands.complete("file_logs -") == ["-all"]
    assert node.commands.complete("request logs --f") == ["--file"]
    assert node.commands.complete("request logs --file my") == ["myfile.txt"]


def test_names_from_the_network_cannot_control_the_terminal(node: Node) -> None:
    requester = Client(node.world, "leecher-1")
    number = requester.lookup().request
    requester.outcome(number, OutcomeResult.FAILED, reason="\x1b[2J\nforged line")
    answer = node.answer("request logs")
    assert "\x1b" not in answer
    assert len(answer.splitlines()) == 2
    node.world.pass_time(TIMEOUT)
