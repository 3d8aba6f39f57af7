"""The JSON Schema for editors, generated from the models that parse the files.

``python -m torrentnet.lab.scenario.language.models.schema > docs/scenario.schema.json`` writes it. It uses only what
draft-07 and draft 2020-12 have in common, because the YAML plug-ins of editors read the former.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from torrentnet.lab.scenario.language.models.scenario import ScenarioModel

PARAMETER: Final = r"\$[a-z{]"
"""A text with a parameter in it."""


def scenario_schema() -> dict[str, Any]:
    """Return the schema as JSON data."""
    schema = _or_parameter(_without_null(ScenarioModel.model_json_schema()))
    assert isinstance(schema, dict)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "title": "torrentnet scenario"}


def schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


def _without_null(part: Any) -> Any:
    """Remove ``null`` from a schema, so that no editor offers it.

    An optional key may be left out, never empty.
    """
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _without_null(value) for key, value in part.items() if not (key == "default" and value is None)}
    found.pop("title", None) if isinstance(found.get("title"), str) else None
    choices = found.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [item for item in choices if item != {"type": "null"}]
        del found["anyOf"]
        if len(rest) == 1:
            found = {**rest[0], **found}
        else:
            found["anyOf"] = rest
    return found


def _or_parameter(part: Any) -> Any:
    """Allow a parameter, as in ``count: $leechers``, wherever it may be used.

    It may be used where a number, one of some words or a pattern is expected.
    """
    if isinstance(part, list):
        return [_or_parameter(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _or_parameter(value) for key, value in part.items()}
    if found.get("type") == "string" and "pattern" in found:
        found["pattern"] = f"{PARAMETER}|{found['pattern']}"
    elif found.get("type") == "string" and (
        words := {key: found.pop(key) for key in ("enum", "const") if key in found}
    ):
        found["anyOf"] = [words, {"type": "string", "pattern": PARAMETER}]
    elif found.get("type") in {"integer", "number", "boolean"}:
        kind = {key: found.pop(key) for key in ("type", "minimum", "maximum") if key in found}
        found["anyOf"] = [kind, {"type": "string", "pattern": PARAMETER}]
    return found


if __name__ == "__main__":
    sys.stdout.write(schema_text())
