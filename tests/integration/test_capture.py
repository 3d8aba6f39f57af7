"""Captures of real labs: the file, and what is left when something goes wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.engines import DOCKER, LOCAL, LOOPBACK, on
from tests.integration.helpers import END_S, SCENARIOS, command, environment, torrentnet
from tests.unit.lab.capture.pcapng_reader import ReadFile, read_pcapng

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engines import Kind

TSHARK: Final = shutil.which("tshark")
MARK: Final = "stopped on arrival at leecher by cable-cut"


def _read(path: Path) -> ReadFile:
    return read_pcapng(path.read_bytes())


def _messages(found: ReadFile) -> list[str]:
    return [entry["MESSAGE"] for entry in found.entries]


@on(DOCKER, LOCAL)
def test_a_run_is_captured_from_its_first_packet_on_with_what_a_cut_stopped(tmp_path: Path, engine: Kind) -> None:
    answer = torrentnet(tmp_path, "run", str(SCENARIOS / "captured.yaml"), "--capture")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (path,) = tmp_path.glob("runs/captured/2*/capture.pcapng")
    assert "faults stopped" in answer.stdout + answer.stderr
    found = _read(path)
    assert {"tracker", "seeder", "leecher"} == set(found.names.values())
    assert found.rows == sorted(found.rows)
    assert found.dropped == 0
    stopped = [packet for packet in found.packets if MARK in packet.comments]
    assert stopped
    assert any("leecher: picked peer=seeder" in text for packet in found.packets for text in packet.comments)
    texts = _messages(found)
    assert any("the tracker and the first seeds are up" in text for text in texts)
    # Before t = 0 the seed has announced itself.
    zero = next(int(entry["__REALTIME_TIMESTAMP"]) for entry in found.entries if entry["TORRENTNET_EVENT"] == "zero")
    assert found.packets[0].time // 1000 < zero
    assert any("partition tracker, seeder | leecher" in text for text in texts)
    if TSHARK is not None:
        query = [TSHARK, "-r", str(path), "-N", "n", "-Y", f'frame.comment == "{MARK}"', "-T", "fields"]
        done = subprocess.run([*query, "-e", "_ws.col.Destination"], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["leecher"] * len(stopped)
    assert not engine.left_over(tmp_path)


@on(LOCAL)
@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (Debian package: tshark)")
def test_wiresharks_own_dissector_reads_the_whole_transfer(tmp_path: Path, engine: Kind) -> None:
    answer = torrentnet(tmp_path, "run", str(SCENARIOS / "quick.yaml"), "--capture", "--full", "--small-blocks")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (path,) = tmp_path.glob("runs/quick/2*/capture.pcapng")
    assert TSHARK is not None
    query = [TSHARK, "-r", str(path), "-T", "fields", "-E", "separator=|", "-e", "bittorrent.msg.type"]
    query += ["-e", "bittorrent.continuous_data", "-e", "bittorrent.piece.data", "-Y", "bittorrent"]
    done = subprocess.run(query, capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert sum(types.split(",").count("7") for types, _, _ in rows) == 4
    assert not any(continued for _, continued, _ in rows)
    assert not engine.left_over(tmp_path)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, engine: Kind) -> Iterator[Path]:
    """The home of a lab that is up."""
    home = tmp_path_factory.mktemp("home")
    answer = torrentnet(home, "up", str(SCENARIOS / "quick.yaml"))
    try:
        assert answer.returncode == 0, answer.stdout + answer.stderr
        yield home
    finally:
        torrentnet(home, "down")
    assert not engine.left_over(home)


def _capturing(home: Path, *words: str) -> subprocess.Popen[str]:
    """Start a capture; returns when packets are seen."""
    child = subprocess.Popen(
        command("capture", *words),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    line = child.stderr.readline()
    assert line == "capturing quick; Ctrl-C ends it\n", line + child.stderr.read()
    return child


@on(LOOPBACK)
@pytest.mark.skipif(os.geteuid() != 0, reason="a capture on the loopback interface needs root")
def test_ctrl_c_ends_a_capture_of_some_nodes(up: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    child = _capturing(up, "leecher", "-o", str(path))
    # A look-up of the peer's own makes packets at once; its keep-alives come anyhow.
    torrentnet(up, "attach", "leecher", "request", "logs")
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=END_S)
    assert child.returncode == 0, errors
    assert errors.startswith("captured ")
    found = _read(path)
    assert {"tracker", "seeder", "leecher"} == set(found.names.values())


@on(LOCAL)
def test_a_stream_ends_when_its_reader_goes(up: Path) -> None:
    child = _capturing(up, "-o", "-", "--for", "30s")
    assert child.stdout is not None
    # The first block alone.
    assert os.read(child.stdout.fileno(), 4)
    child.stdout.close()
    assert child.stderr is not None
    child.stderr.close()
    assert child.wait(END_S) == 141


@on(DOCKER, LOCAL)
def test_a_killed_capture_leaves_a_readable_file_and_nothing_else(up: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    child = _capturing(up, "-o", str(path))
    child.kill()
    child.communicate(timeout=END_S)
    assert _read(path).names
    # The next one finds the network free, and ends by itself.
    answer = torrentnet(up, "capture", "--for", "1s", "-o", str(path), "--json")
    assert answer.returncode == 0, answer.stderr
    assert '"lost": 0' in answer.stdout
    assert _read(path).dropped == 0


@on(DOCKER, LOCAL)
def test_a_lab_that_goes_down_ends_its_capture(tmp_path: Path, engine: Kind) -> None:
    answer = torrentnet(tmp_path, "up", str(SCENARIOS / "quick.yaml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    path = tmp_path / "runs" / "a.pcapng"
    child = _capturing(tmp_path, "-o", str(path))
    assert torrentnet(tmp_path, "down").returncode == 0
    _, errors = child.communicate(timeout=END_S)
    assert child.returncode == 0, errors
    assert "the lab has ended" in errors
    assert _read(path).names
    assert not engine.left_over(tmp_path)
