"""Other projects' clients in a lab: kill, restart, stop and upload limit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import torrentnet

if TYPE_CHECKING:
    import subprocess

CLIENTS = ("aria2", "transmission", "libtorrent", "rtorrent", "qbittorrent", "deluge")
SCENARIO = Path(__file__).parent / "scenarios" / "goodbye.yaml"
SIZE, RATE = 6 * 1024 * 1024, 1024 * 1024
BURST = 1.5
"""Factor by which a client may exceed its limit: clients count whole seconds, and some do not limit the first."""


@pytest.fixture(scope="module")
def ran(clients_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str, int]]:
    """Client -> the run's record, the output, and the exit status."""
    del clients_image  # built before six labs need it at once
    homes = {client: tmp_path_factory.mktemp(client) for client in CLIENTS}

    def run(client: str) -> subprocess.CompletedProcess[str]:
        words = ("run", str(SCENARIO), "--set", f"client={client}", "--engine", "docker")
        return torrentnet(homes[client], *words)

    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        answers = dict(zip(CLIENTS, pool.map(run, CLIENTS), strict=True))
    return {
        client: (homes[client] / "runs" / "goodbye" / "latest", answer.stdout + answer.stderr, answer.returncode)
        for client, answer in answers.items()
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_can_be_killed_restarted_and_stopped(ran: dict[str, tuple[Path, str, int]], client: str) -> None:
    _, output, status = ran[client]
    assert status == 0, output


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_keeps_to_its_upload_limit(ran: dict[str, tuple[Path, str, int]], client: str) -> None:
    """The limit sets a lower bound on the download's duration.

    A complete leecher proves that the seeder has sent each piece. No load can make that faster.
    """
    record, output, _ = ran[client]
    events = [json.loads(line) for line in (record / "events.jsonl").read_text("utf-8").splitlines()]
    times = {event["event"]: _seconds(event["time"]) for event in events if event["node"] == "ours"}
    assert times["completed"] - times["listening"] > SIZE / RATE / BURST, output


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.rstrip("Z").partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
