"""What a lab does to its nodes, done to real clients: a kill, a restart, a stop; and the limit of what they send."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import torrentnet

if TYPE_CHECKING:
    import subprocess

CLIENTS = ("aria2", "transmission", "libtorrent")
SCENARIO = Path(__file__).parent / "scenarios" / "goodbye.yaml"
SIZE, RATE = 6 * 1024 * 1024, 1024 * 1024
BURST = 1.5
"""Times the rate that a client may be above its limit: they count in seconds, and some let the first one pass."""


@pytest.fixture(scope="module")
def ran(clients_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str, int]]:
    """Client -> the run's record, what was printed, and the exit status. All run at once."""
    del clients_image  # made before three labs ask for it at once
    homes = {client: tmp_path_factory.mktemp(client) for client in CLIENTS}

    def run(client: str) -> subprocess.CompletedProcess[str]:
        words = ("run", str(SCENARIO), "--set", f"client={client}", "--engine", "docker")
        return torrentnet(homes[client], *words)

    with ThreadPoolExecutor(len(CLIENTS)) as hands:
        answers = dict(zip(CLIENTS, hands.map(run, CLIENTS), strict=True))
    return {
        client: (homes[client] / "runs" / "goodbye" / "latest", answer.stdout + answer.stderr, answer.returncode)
        for client, answer in answers.items()
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_can_be_killed_and_restarted_and_says_good_bye(
    ran: dict[str, tuple[Path, str, int]], client: str
) -> None:
    _, said, status = ran[client]
    assert status == 0, said


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_keeps_to_its_upload_limit(ran: dict[str, tuple[Path, str, int]], client: str) -> None:
    """Every piece has left the seeder at least once before anybody has them all. No load can make that faster."""
    record, said, _ = ran[client]
    events = [json.loads(line) for line in (record / "events.jsonl").read_text("utf-8").splitlines()]
    ours = {one["event"]: one for one in events if one["node"] == "ours"}
    assert _seconds(ours["completed"]["time"]) - _seconds(ours["listening"]["time"]) > SIZE / RATE / BURST, said


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.rstrip("Z").partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
