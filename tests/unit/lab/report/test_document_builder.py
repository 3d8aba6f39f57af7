"""Documents that grow: deltas, and the limits that hold whatever a node prints."""

from __future__ import annotations

from typing import Any

from tests.unit.lab.report.records import NODES, ROLES, address, killed_seed_rows, row
from torrentnet.lab.report.document_builder import DocumentBuilder
from torrentnet.lab.report.document_rows import LOG_CHARS, MAX_ROWS


def header() -> dict[str, Any]:
    return {
        "run": {"scenario": "trial", "verdict": "running", "notes": [], "duration": None},
        "files": [{"name": "a.txt", "size": 0, "pieces": 0, "piece_length": 0, "sha256": None}],
        "nodes": [
            {
                "name": name,
                "role": ROLES[name.partition("-")[0]],
                "address": address(name),
                "file": -1 if name == "tracker" else 0,
                "reports_pieces": False,
            }
            for name in NODES
        ],
        "expectations": [],
    }


def test_all_deltas_together_are_the_document() -> None:
    builder, whole = DocumentBuilder(header()), DocumentBuilder(header())
    lists: dict[str, list[Any]] = {key: [] for key in ("marks", "phases", "held", "logs")}
    faults: dict[int, Any] = {}
    pieces: list[int] = []
    resets = 0
    for number, one in enumerate(killed_seed_rows()):
        for each in (builder, whole):
            each.add(one)
            each.add_line("leecher", number, f"line {number}")
        delta = builder.take_delta()
        if "reset" in delta:
            resets += 1
            document = builder.document()
            lists = {key: list(document[key]) for key in lists}
            continue
        for key in lists:
            lists[key] += delta.get(key, [])
        faults |= {fault["id"]: fault for fault in delta.get("faults", [])}
        pieces += delta.get("arrivals", {}).get("t", [])
    assert resets == 1
    assert builder.take_delta() == {}
    document = whole.document()
    for key, rows in lists.items():
        assert sorted(rows, key=str) == sorted(document[key], key=str), key
    assert list(faults.values()) == document["faults"]
    assert pieces == document["arrivals"]["t"]


def test_what_changes_of_the_run_is_in_the_next_delta() -> None:
    builder = DocumentBuilder(header())
    builder.update_run(verdict="passed")
    builder.set_expectations([{"text": "a"}])
    assert builder.take_delta() == {"run": {"verdict": "passed"}, "expectations": [{"text": "a"}]}
    assert builder.document()["run"]["verdict"] == "passed"


def test_a_node_that_prints_without_end_leaves_a_note() -> None:
    builder = DocumentBuilder(header())
    builder.add(row(0.0, "lab", "zero"))
    one = row(1.0, "leecher", "lookup", file="x" * 5000)
    for _ in range(MAX_ROWS + 10):
        builder.add(one)
    document = builder.document()
    assert len(document["marks"]) == MAX_ROWS
    assert len(document["marks"][-1][4]) == 400
    assert document["run"]["notes"] == [f"10 events are left out: a page shows {MAX_ROWS} of a kind"]


def test_each_node_keeps_its_newest_lines() -> None:
    builder = DocumentBuilder(header())
    builder.add(row(0.0, "lab", "zero"))
    for number in range(LOG_CHARS // 4000):
        builder.add_line("leecher", number, "x" * 9000)
    builder.add_line("tracker", 0, "first")
    document = builder.document()
    assert document["logs"][0][2] == "first"
    assert document["logs"][-1][0] == LOG_CHARS // 4000 - 1
    assert sum(len(line[2]) for line in document["logs"]) < LOG_CHARS
    assert document["logs_dropped"] > 0


def test_values_of_another_kind_are_shown_as_unknown() -> None:
    builder = DocumentBuilder(header())
    for one in (
        row(0.0, "lab", "zero"),
        row(1.0, "leecher", "picked"),
        {"t": 1, "node": "leecher", "event": "progress", "fields": {"have": "9" * 50, "pieces": None}},
        {"t": 1, "node": ["leecher"], "event": "progress", "fields": 3},
        {"t": 1, "node": "lab", "event": "applied", "fields": {"text": 3, "nodes": "leecher", "began": "x"}},
        {"t": float("inf"), "node": "leecher", "event": "picked"},
    ):
        builder.add(one)
    document = builder.document()
    assert [1000, 3, "picked", -1, "one of ?"] in document["marks"]
    assert document["faults"][0]["text"] == "3"
