"""The notebook of docs/record.md runs, and reads a record as the lab does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from torrentnet.lab.report.schema.record_schema import record_schema
from torrentnet.lab.run.facts.arrivals import arrivals
from torrentnet.runtime.events import Event

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
RECORD = FOLDER / "three_seeders"


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORD / "events.jsonl").read_text("utf-8").splitlines()]


def test_its_record_keeps_to_the_schema() -> None:
    validator = jsonschema.Draft7Validator(record_schema())
    documents = [json.loads((RECORD / name).read_text("utf-8")) for name in ("plan.json", "result.json")]
    assert [error.message for document in [*documents, *rows()] for error in validator.iter_errors(document)] == []


def test_every_cell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: `make notebook` installs it")
    monkeypatch.chdir(FOLDER)
    monkeypatch.delenv("RECORD", raising=False)
    notebook = json.loads((FOLDER / "record.ipynb").read_text("utf-8"))
    space: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "record.ipynb", "exec"), space)
    wanted = []
    for row in rows():
        event = Event(row["event"], row.get("t", 0.0), row.get("fields", {}))
        wanted += [(round(found.time, 3), row["node"], found.piece) for found in arrivals(event)]
    table = space["arrivals"]
    read = [(round(t, 3), node, piece) for t, node, piece in zip(table.t, table.node, table.piece, strict=True)]
    assert sorted(read) == sorted(wanted)
    assert len(wanted) == 64
    assert list(space["answers"].passed) == [True] * 8
    assert [text for _, text in space["kills"]] == ["kill seeder-1"]
