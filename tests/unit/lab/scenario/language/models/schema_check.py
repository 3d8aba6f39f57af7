"""A JSON Schema validator for our own schema; an unknown keyword is an error."""

from __future__ import annotations

import re
from typing import Any

_ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "examples"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Return whether the value fulfils the schema."""
    return all(_holds(key, rule, value, schema, root) for key, rule in schema.items() if key not in _ANNOTATIONS)


def _holds(key: str, rule: Any, value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    match key:
        case "$ref":
            return fits(value, root["$defs"][rule.removeprefix("#/$defs/")], root)
        case "type":
            return isinstance(value, _TYPES[rule]) and not (rule in {"integer", "number"} and isinstance(value, bool))
        case "enum":
            return value in rule
        case "const":
            return bool(value == rule)
        case "anyOf":
            return any(fits(value, one, root) for one in rule)
        case "oneOf":
            return sum(fits(value, one, root) for one in rule) == 1
        case "allOf":
            return all(fits(value, one, root) for one in rule)
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "minLength" | "maxLength":
            return not isinstance(value, str) or (len(value) >= rule if key == "minLength" else len(value) <= rule)
        case "minimum" | "maximum":
            return not isinstance(value, (int, float)) or (value >= rule if key == "minimum" else value <= rule)
        case "minItems":
            return not isinstance(value, list) or len(value) >= rule
        case "items":
            return not isinstance(value, list) or all(fits(item, rule, root) for item in value)
        case "required":
            return not isinstance(value, dict) or all(name in value for name in rule)
        case "properties":
            return not isinstance(value, dict) or all(
                fits(value[name], one, root) for name, one in rule.items() if name in value
            )
        case "additionalProperties":
            if not isinstance(value, dict):
                return True
            further = [item for name, item in value.items() if name not in schema.get("properties", {})]
            return not further if rule is False else all(fits(item, rule, root) for item in further)
    raise AssertionError(f"the schema uses `{key}`, which this check does not know")
