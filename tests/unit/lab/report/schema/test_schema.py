"""The schema describes what is written, and the files of docs/ are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.unit.lab.stub import SCENARIO, StubEngine
from torrentnet.lab.api import Lab
from torrentnet.lab.report.result import write_reports
from torrentnet.lab.report.schema.record_page import with_tables
from torrentnet.lab.report.schema.record_schema import record_schema, schema_text
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.plan_document import plan_document

ROOT = Path(__file__).resolve().parents[5]
DOCS = ROOT / "docs"
PLAYED = (
    SCENARIO.replace("about:", "time_limit: 5s\nabout:")
    + """\
timeline:
  - {at: 0s, kill: seeder-2}
  - {at: 0.1s, pause: seeder-1, for: 0.1s}
expect:
  - {node: seeder-2, state: exited, at: 0.3s}
"""
)


def errors(document: object, name: str) -> list[str]:
    """Return what a document has that the schema does not allow."""
    schema = {**record_schema(), "anyOf": [{"$ref": f"#/definitions/{name}"}]}
    validator = jsonschema.Draft7Validator(schema)
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(document)
    ]


def test_the_files_of_docs_are_made_from_the_models() -> None:
    page = (DOCS / "record.md").read_text("utf-8")
    assert page == with_tables(page)
    assert (DOCS / "record.schema.json").read_text("utf-8") == schema_text()
    jsonschema.Draft7Validator.check_schema(record_schema())


@pytest.mark.parametrize("name", ["three_seeders", "partition_heals", "textbook", "churn", "mixed_swarm"])
def test_plans_keep_to_the_schema(name: str) -> None:
    plan = load_plan(ROOT / "scenarios" / f"{name}.yaml")
    assert errors(json.loads(json.dumps(plan_document(plan, {}))), "plan.json") == []


def test_a_played_lab_leaves_what_the_schema_says(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(PLAYED, encoding="utf-8")
    with Lab(load_plan(tmp_path / "x.yaml"), StubEngine(), home=tmp_path, runs=tmp_path / "runs") as lab:
        lab.restart("tracker")
        lab.play()
    assert lab.outcome is not None
    write_reports(lab.outcome)
    record = lab.directory
    assert errors(json.loads((record / "plan.json").read_text("utf-8")), "plan.json") == []
    result: dict[str, Any] = json.loads((record / "result.json").read_text("utf-8"))
    assert errors(result, "result.json") == []
    rows = [json.loads(line) for line in (record / "events.jsonl").read_text("utf-8").splitlines()]
    assert {"begun", "applied", "zero", "node", "published"} <= {row["event"] for row in rows}
    assert [errors(row, "row of events.jsonl") for row in rows if errors(row, "row of events.jsonl")] == []
    (zero,) = [row["time"] for row in rows if row["event"] == "zero"]
    assert result["zero"] == zero
    assert [row["ended"] is not None for row in result["timeline"] if row["kind"] == "pause"] == [True]


def test_the_schema_refuses_what_is_not_in_it() -> None:
    assert errors({"schema": 1}, "plan.json")
    assert errors({"time": "", "node": "a", "event": "picked", "fields": {"colour": 1}}, "row of events.jsonl")
