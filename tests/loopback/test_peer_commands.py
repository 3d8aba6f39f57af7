"""A peer's commands: typed in a terminal, read from a pipe, sent over the socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.rig.watched_process import DEADLINE_S
from tests.loopback.programs import ANYWHERE, PEER, ROOT, TRACKER, make_file
from tests.unit.console.pseudo import Pseudo

if TYPE_CHECKING:
    from pathlib import Path

from tests.loopback.programs import Loopback


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_file(tmp_path / "myfile.txt", 300_000)


def test_typed_in_a_terminal(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed")
    there = tmp_path / "there"
    there.mkdir()
    command = (PEER, "get", "myfile.txt", tracker.address, ANYWHERE, "--name", "leecher", "--dir", there)
    with Pseudo(*map(str, command), width=160) as terminal:
        terminal.until_shown("state state=seed file=myfile.txt")
        terminal.until_line("leecher>")
        terminal.type("request logs\r")
        terminal.until_shown("picked among 1")
        terminal.until_shown("verified")
        terminal.type("status\r")
        terminal.until_shown("pieces       all 2")
        terminal.type("nope\r")
        terminal.until_shown('error: unknown command "nope"')
        terminal.type("quit\r")
        assert terminal.until_ended() == 0
        assert terminal.restored
    tracker.until("left", peer="leecher")


def test_ctrl_c_in_a_terminal_leaves_the_swarm(loopback: Loopback, source: Path) -> None:
    tracker = loopback.tracker()
    command = (PEER, "share", source, tracker.address, ANYWHERE, "--name", "seed")
    with Pseudo(*map(str, command), width=200) as terminal:
        terminal.until_shown("state state=seed")
        terminal.type("half a wo\x03")
        assert terminal.until_ended() == 0
        assert terminal.restored
    tracker.until("left", peer="seed")


def test_the_trackers_terminal(source: Path, loopback: Loopback) -> None:
    with Pseudo(str(TRACKER), ANYWHERE, width=160) as terminal:
        terminal.until_shown("timeout_ms=")
        terminal.until_line("tracker>")
        address = terminal.raw.split("address=")[1].split()[0]
        seed = loopback.start(PEER, "share", source, address, ANYWHERE, "--name", "seed")
        seed.until("state", state="seed")
        terminal.until_shown("published file=myfile.txt peer=seed")
        terminal.type("file_logs -all\r")
        terminal.until_shown("myfile.txt")
        terminal.type("file_logs nope.txt\r")
        terminal.until_shown("error:")
        terminal.type("quit\r")
        assert terminal.until_ended() == 0


def test_through_a_pipe(loopback: Loopback, source: Path) -> None:
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed", stdin=subprocess.PIPE)
    seed.type("request logs")
    seed.until_line(lambda line: "published" in line and line.endswith("-"), "the log's one entry")
    seed.type("status")
    seed.until_line(lambda line: line == "pieces       all 2", "its pieces")
    seed.type("nonsense")
    seed.until_line(lambda line: line.startswith('error: unknown command "nonsense"'), "the complaint")
    seed.type("quit")
    assert seed.wait() == 0
    assert seed.events[-1].fields == {"reason": "quit"}
    tracker.until("left", peer="seed")


def test_the_end_of_a_pipe_is_not_the_end_of_the_peer(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed", stdin=subprocess.PIPE)
    seed.type("status")
    assert seed.process.stdin is not None
    seed.process.stdin.close()
    seed.until_line(lambda line: line == "pieces       all 2", "its pieces")
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    assert leecher.until("completed")["sources"] == "seed:2"


def test_in_the_background_of_a_shell(loopback: Loopback, source: Path) -> None:
    tracker = loopback.tracker()
    command = (PEER, "share", source, tracker.address, ANYWHERE, "--name", "seed")
    with Pseudo(*map(str, command), width=200, job=True) as terminal:
        terminal.until_shown("state state=seed")
        terminal.order(f"signal {int(signal.SIGTERM)}")
        assert terminal.wait() == "ended 0"
    tracker.until("left", peer="seed")


def test_over_the_socket_as_in_a_container(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    loopback.share(source, tracker, "--name", "seed")
    console = tmp_path / "leecher.sock"
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there", "--console", console)
    leecher.until("state", state="seed")

    def console_command(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "torrentnet.console", *words],
            cwd=ROOT,
            env={**os.environ, "TORRENTNET_CONSOLE": str(console)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    status, out, err = console_command("request", "logs")
    assert (status, err) == (0, "")
    assert "picked among 1" in out
    assert out.count("verified") == 3
    status, out, err = console_command("request", "logs", "--last", "1")
    assert (status, len(out.splitlines())) == (0, 2)
    status, out, err = console_command("request", "logs", "--last", "none")
    assert (status, out) == (2, "")
    assert err.startswith("error: argument --last")
    # Whoever asks from outside does not end the peer.
    console_command("console", "quit")
    assert leecher.process.poll() is None
    leecher.process.terminate()
    assert leecher.wait() == 0
    status, out, err = console_command("request", "logs")
    assert (status, out) == (3, "")
    assert "no answer from" in err


def test_the_socket_may_come_from_the_environment(loopback: Loopback, tmp_path: Path, source: Path) -> None:
    tracker = loopback.tracker()
    console = tmp_path / "from-environment.sock"
    there = tmp_path / "there"
    there.mkdir()
    environ = {**os.environ, "TORRENTNET_CONSOLE": str(console)}
    words = [PEER, "share", source, tracker.address, ANYWHERE]
    with subprocess.Popen(
        [sys.executable, *map(str, words)], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as seed:
        tracker.until("published")
        assert console.is_socket()
        seed.terminate()
        assert seed.wait(DEADLINE_S) == 0
    assert not console.exists()


def test_a_quiet_peer_still_reports_errors(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    leecher = loopback.get("nope.txt", tracker, tmp_path / "there", "--give-up", "200ms", "--log-level", "error")
    assert leecher.wait() == 1
    assert leecher.lines == []
    assert len(leecher.errors) == 1
