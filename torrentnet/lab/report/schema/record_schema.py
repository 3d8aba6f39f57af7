"""The schema of a run's record, for programs that read one.

``python -m torrentnet.lab.report.schema.record_schema > docs/record.schema.json`` writes it. The table of events has
the rows of ``events.jsonl``.

Tested by tests/unit/lab/report/schema/test_schema.py.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.report.schema.models import PlanDocument, ResultDocument
from torrentnet.runtime.event_table import EVENTS, LAB, NUMBERS, TRUE_OR_FALSE

if TYPE_CHECKING:
    from pydantic import BaseModel

    from torrentnet.runtime.event_table import EventField, EventSpec

DOCUMENTS: Final[dict[str, type[BaseModel]]] = {"plan.json": PlanDocument, "result.json": ResultDocument}
JSON_TYPES: Final[dict[str, dict[str, Any]]] = {
    **{unit: {"type": "integer"} for unit in NUMBERS},
    "s": {"type": "number"},
    TRUE_OR_FALSE: {"type": "boolean"},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "pairs of nodes": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
}
"""Types of an event's field by its unit; others are texts."""


def record_schema() -> dict[str, Any]:
    """Return the schema as JSON data."""
    definitions: dict[str, Any] = {}
    for name, model in DOCUMENTS.items():
        document = model.model_json_schema(ref_template="#/definitions/{model}")
        definitions |= document.pop("$defs")
        definitions[name] = document
    definitions["row of events.jsonl"] = {
        "description": "One line of `events.jsonl`.",
        "oneOf": [_event(spec) for spec in EVENTS.values()],
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "record of a torrentnet run",
        "anyOf": [{"$ref": f"#/definitions/{name}"} for name in (*DOCUMENTS, "row of events.jsonl")],
        "definitions": definitions,
    }


def _event(spec: EventSpec) -> dict[str, Any]:
    keys = {field.key: _field(spec, field) for field in spec.fields}
    needed = [field.key for field in spec.fields if not (field.optional or field.emitters)]
    fields = {"type": "object", "properties": keys, "required": needed, "additionalProperties": False}
    return {
        "description": spec.meaning,
        "type": "object",
        "properties": {
            "time": {"type": "string", "description": "time of day in UTC"},
            "t": {"type": "number", "description": "seconds after t = 0; missing before t = 0 is known"},
            "node": {"const": LAB} if spec.emitters == (LAB,) else {"type": "string"},
            "event": {"const": spec.name},
            "fields": fields,
        },
        "required": ["time", "node", "event", *(["fields"] if needed else [])],
        "additionalProperties": False,
    }


def _field(spec: EventSpec, field: EventField) -> dict[str, Any]:
    lab = spec.emitters == (LAB,)
    kind = {"type": "array", "items": {"type": "string"}} if lab and field.unit == "node names" else {"type": "string"}
    shown = {"description": field.meaning if field.unit in JSON_TYPES else f"{field.meaning} ({field.unit})"}
    choices = {"enum": list(field.values)} if field.values and field.unit != TRUE_OR_FALSE else {}
    return {**JSON_TYPES.get(field.unit, kind), **choices, **shown}


def schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(record_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
