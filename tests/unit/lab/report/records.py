"""Records of runs for the tests of the reports, written as a lab writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ZERO: Final = 1_790_000_000.0
"""t = 0 of every record, in seconds since the epoch."""
NODES: Final = ("tracker", "seeder-1", "seeder-2", "leecher")
ROLES: Final = {"tracker": "tracker", "seeder": "share", "leecher": "get"}


def address(name: str) -> str:
    """Return a node's address."""
    return f"198.18.0.{2 + NODES.index(name)}"


def row(t: float, node: str, event: str, /, **fields: object) -> dict[str, Any]:
    """Return a row of ``events.jsonl``."""
    found: dict[str, Any] = {"time": format_timestamp(ZERO + t)}
    if t >= 0:
        found["t"] = t
    return found | {"node": node, "event": event, **({"fields": fields} if fields else {})}


def killed_seed_rows() -> list[dict[str, Any]]:
    """Return the events of a run in which a leecher loses its seed."""
    rows = []
    for name in NODES[:3]:
        rows.append(row(-1.0, "lab", "node", of=name, state="running"))
        program = "tracker" if name == "tracker" else "peer"
        rows.append(row(-0.9, name, "listening", program=program, name=name, address=f"{address(name)}:6881"))
        if name != "tracker":
            rows.append(row(-0.8, name, "published", file="a.txt", size="1000", pieces="4"))
            rows.append(row(-0.8, name, "state", state="seed", file="a.txt"))
    return [
        *rows,
        row(0.0, "lab", "zero"),
        row(0.1, "lab", "begun", text="start leecher", nodes=["leecher"]),
        row(0.2, "lab", "node", of="leecher", state="running"),
        row(0.3, "lab", "applied", text="start leecher", nodes=["leecher"], planned=0.0, began=0.1, applied=0.3),
        row(0.4, "leecher", "listening", program="peer", name="leecher", address="198.18.0.5:6881"),
        row(0.4, "leecher", "state", state="get", file="a.txt"),
        row(0.5, "leecher", "picked", peer="seeder-1", address="198.18.0.3:6881", among="2"),
        row(0.9, "leecher", "progress", file="a.txt", have="2", pieces="4", bytes="500", size="1000"),
        row(1.0, "lab", "begun", text="kill seeder-1", nodes=["seeder-1"]),
        row(1.01, "leecher", "source_lost", peer="seeder-1", address="198.18.0.3:6881", reason="closed", have="2"),
        row(1.02, "lab", "node", of="seeder-1", state="exited (137)"),
        row(1.03, "lab", "applied", text="kill seeder-1", nodes=["seeder-1"], planned=1.0, began=1.0, applied=1.03),
        row(1.1, "leecher", "picked", peer="seeder-2", address="198.18.0.4:6881", among="1"),
        row(1.9, "leecher", "progress", file="a.txt", have="4", pieces="4", bytes="1000", size="1000"),
        row(2.0, "leecher", "completed", file="a.txt", bytes="1000", ms="1500"),
        row(2.0, "leecher", "state", state="seed", file="a.txt"),
    ]


def result() -> dict[str, Any]:
    """Return the run's ``result.json``."""
    return {
        "schema": 1,
        "scenario": "trial",
        "about": "A leecher gets a file.",
        "verdict": "passed",
        "exit_code": 0,
        "error": None,
        "notes": [],
        "began": "2026-09-21T14:13:18.000Z",
        "seconds": {"run": 2.5, "total": 4.0},
        "seed": 7,
        "parameters": {"size": "1kB"},
        "time_limit": 45.0,
        "environment": {"engine": "local (namespaces), Python 3.11"},
        "files": [{"name": "a.txt", "sha256": "ab" * 32}],
        "nodes": [
            {
                "name": name,
                "role": ROLES[name.partition("-")[0]],
                "address": address(name),
                "file": None if name == "tracker" else "a.txt",
                "start": 0.0,
            }
            for name in NODES
        ],
        "timeline": [],
        "expectations": [
            {
                "text": "leecher has a.txt within 9s",
                "says": "leecher has a.txt within 9s",
                "where": "trial.yaml:20:5",
                "level": "failure",
                "passed": True,
                "judged": True,
                "answers": [
                    {
                        "node": "leecher",
                        "passed": True,
                        "judged": True,
                        "measured": "complete at 2.0 s",
                        "time": 2.0,
                        "look": "torrentnet attach leecher request logs",
                    }
                ],
            }
        ],
    }


def naming_rows() -> list[dict[str, Any]]:
    """Return the same events with the pieces and their sources."""
    arrived = {0.9: "198.18.0.3:6881/0@400,2@100", 1.9: "198.18.0.4:6881/1@300;198.18.0.9:6881/3@0"}
    return [
        {**one, "fields": {**one["fields"], "arrived": arrived[one["t"]]}} if one["event"] == "progress" else one
        for one in killed_seed_rows()
    ]


def plan() -> dict[str, Any]:
    """Return the run's ``plan.json``."""
    nodes = [{**node, "group": node["name"].partition("-")[0], "settings": {}} for node in result()["nodes"]]
    nodes[1]["settings"] = {"upload_rate": "8kbit"}
    nodes[2]["settings"] = {"upload_rate": "8kbit"}
    return {
        "scenario": "trial",
        "source": "/home/somebody/my trial.yaml",
        "files": [{"name": "a.txt", "size": 1000, "piece_length": 250, "pieces": 4}],
        "nodes": nodes,
        "links": [{"text": "uplink", "pairs": [["leecher", "seeder-1"]], "qualities": {"uplink": 4000}}],
        "expectations": [{"text": "leecher has a.txt within 9s", "where": "trial.yaml:20:5", "deadline": 9.0}],
    }


def write_record(
    directory: Path,
    rows: Iterable[dict[str, Any]] | None = None,
    outcome: dict[str, Any] | None = None,
    logs: dict[str, str] | None = None,
    planned: dict[str, Any] | None = None,
) -> Path:
    """Write a record; without ``outcome`` it is that of a lab that was killed."""
    (directory / "logs").mkdir(parents=True)
    lines = [json.dumps(one) for one in (killed_seed_rows() if rows is None else rows)]
    (directory / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    if outcome is not None:
        (directory / "result.json").write_text(json.dumps(outcome), "utf-8")
    if planned is not None:
        (directory / "plan.json").write_text(json.dumps(planned), "utf-8")
    for node, text in (logs or {}).items():
        (directory / "logs" / f"{node}.log").write_text(text, "utf-8")
    return directory
