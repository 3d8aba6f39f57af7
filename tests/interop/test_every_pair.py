"""The table: each client as the only seed of each client, ours included, through our tracker, told by SHA-256.

One lab a seed, all four at a time: what takes long in them is Transmission, which waits.
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

CLIENTS = ("torrentnet", "aria2", "transmission", "libtorrent")
NODES = {"torrentnet": "ours", "aria2": "aria2", "transmission": "transmission", "libtorrent": "libtorrent"}
"""Client -> the node of scenarios/real_clients.yaml that runs it as a leecher."""
PROGRAMS = {"torrentnet": "peer", "aria2": "aria2", "transmission": "transmission", "libtorrent": "libtorrent"}
"""Client -> what its event line `listening` says of itself."""


class Run:
    """What came of the scenario with one client as the seed."""

    def __init__(self, home: Path, answer: subprocess.CompletedProcess[str]) -> None:
        self.said = answer.stdout + answer.stderr
        record = home / "runs" / "real_clients" / "latest"
        assert (record / "result.json").is_file(), self.said
        self.result: dict[str, Any] = json.loads((record / "result.json").read_text("utf-8"))
        lines = (record / "events.jsonl").read_text("utf-8").splitlines()
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def program(self, node: str) -> str:
        """What runs in a node, as it says itself."""
        up = [one["fields"]["program"] for one in self.events if one["node"] == node and one["event"] == "listening"]
        assert len(up) == 1, self.said
        return str(up[0])


@pytest.fixture(scope="module")
def runs(clients_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Seed -> what came of it."""
    del clients_image  # made before four labs ask for it at once
    homes = {seed: tmp_path_factory.mktemp(seed) for seed in CLIENTS}

    def run(seed: str) -> subprocess.CompletedProcess[str]:
        return torrentnet(homes[seed], "run", "real_clients", "--set", f"seed_client={seed}", "--engine", "docker")

    with ThreadPoolExecutor(len(CLIENTS)) as hands:
        answers = dict(zip(CLIENTS, hands.map(run, CLIENTS), strict=True))
    return {seed: Run(homes[seed], answers[seed]) for seed in CLIENTS}


@pytest.mark.parametrize("leecher", CLIENTS)
@pytest.mark.parametrize("seed", CLIENTS)
def test_pair(runs: dict[str, Run], seed: str, leecher: str) -> None:
    run, node = runs[seed], NODES[leecher]
    assert (run.program("seeder"), run.program(node)) == (PROGRAMS[seed], PROGRAMS[leecher])
    has = run.result["expectations"][0]
    (answer,) = [one for one in has["answers"] if one["node"] == node]
    assert answer["passed"], run.said
    assert "SHA-256" in answer["measured"]


@pytest.mark.parametrize("seed", CLIENTS)
def test_nobody_else_could_have_given_it(runs: dict[str, Run], seed: str) -> None:
    """The leechers were cut off from each other, and the packets that they sent one another were stopped."""
    run = runs[seed]
    assert run.result["verdict"] == "pass", run.said
    (partition,) = [one for one in run.result["timeline"] if one["text"].startswith("partition")]
    assert partition["error"] is None
    assert sorted(partition["nodes"]) == sorted(NODES.values())
    assert partition["measured"]["lost"] > 0
