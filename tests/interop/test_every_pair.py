"""Each client as the only seed of each client, with torrentnet's tracker.

Torrentnet's own peer is one of the clients.

One lab per seed, four at a time: the time is spent waiting for Transmission.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.helpers import torrentnet

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

OTHERS = ("aria2", "transmission", "libtorrent", "rtorrent", "qbittorrent", "deluge")
CLIENTS = ("torrentnet", *OTHERS)
AT_A_TIME = 4
SIZES = {"rtorrent": "512KiB"}
"""Seed -> size of its file, where it is not the scenario's: aria2 gets a piece in ten seconds from rTorrent."""
NODES = {"torrentnet": "ours"} | {client: client for client in OTHERS}
"""Client -> its node as a leecher in scenarios/real_clients.yaml."""
PROGRAMS = {"torrentnet": "peer"} | {client: client for client in OTHERS}
"""Client -> the field `program` of its event `listening`."""


class Run:
    """The record of one run of the scenario."""

    def __init__(self, home: Path, answer: subprocess.CompletedProcess[str]) -> None:
        self.output = answer.stdout + answer.stderr
        record = home / "runs" / "real_clients" / "latest"
        assert (record / "result.json").is_file(), self.output
        self.result: dict[str, Any] = json.loads((record / "result.json").read_text("utf-8"))
        lines = (record / "events.jsonl").read_text("utf-8").splitlines()
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def program(self, node: str) -> str:
        """Return the program that a node runs, from its event `listening`."""
        names = [
            event["fields"]["program"]
            for event in self.events
            if event["node"] == node and event["event"] == "listening"
        ]
        assert len(names) == 1, self.output
        return str(names[0])


@pytest.fixture(scope="module")
def runs(clients_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Seed -> its run."""
    del clients_image  # built before four labs need it at once
    homes = {seed: tmp_path_factory.mktemp(seed) for seed in CLIENTS}

    def run(seed: str) -> subprocess.CompletedProcess[str]:
        size = ("--set", f"size={SIZES[seed]}") if seed in SIZES else ()
        return torrentnet(
            homes[seed], "run", "real_clients", "--set", f"seed_client={seed}", *size, "--engine", "docker"
        )

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        answers = dict(zip(CLIENTS, pool.map(run, CLIENTS), strict=True))
    return {seed: Run(homes[seed], answers[seed]) for seed in CLIENTS}


@pytest.mark.parametrize("leecher", CLIENTS)
@pytest.mark.parametrize("seed", CLIENTS)
def test_a_leecher_downloads_from_a_seed(runs: dict[str, Run], seed: str, leecher: str) -> None:
    run, node = runs[seed], NODES[leecher]
    assert (run.program("seeder"), run.program(node)) == (PROGRAMS[seed], PROGRAMS[leecher])
    answers = run.result["expectations"][0]["answers"]
    (answer,) = [answer for answer in answers if answer["node"] == node]
    assert answer["passed"], run.output
    assert "SHA-256" in answer["measured"]


@pytest.mark.parametrize("seed", CLIENTS)
def test_leechers_cannot_download_from_each_other(runs: dict[str, Run], seed: str) -> None:
    """A partition separates them, and packets between them are dropped."""
    run = runs[seed]
    assert run.result["verdict"] == "passed", run.output
    (partition,) = [item for item in run.result["timeline"] if item["text"].startswith("partition")]
    assert partition["error"] is None
    assert sorted(partition["nodes"]) == sorted(NODES.values())
    assert partition["measured"]["lost"] > 0
