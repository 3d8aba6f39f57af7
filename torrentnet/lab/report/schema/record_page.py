"""The tables of docs/record.md, from the models of the documents.

``python -m torrentnet.lab.report.schema.record_page`` renews them in the page.

Tested by tests/unit/lab/report/schema/test_schema.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.report.schema.record_schema import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path("docs/record.md")
BEGIN: Final = "<!-- made by `python -m torrentnet.lab.report.schema.record_page`: begin {name} -->\n"
END: Final = "<!-- end {name} -->"


def with_tables(page: str) -> str:
    """Return the page with new tables. Raises ValueError where a mark is missing."""
    for name, model in DOCUMENTS.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, rest = page[: page.index(begin)], page[page.index(begin) :]
        after = rest[rest.index(end) :]
        page = before + begin + "\n" + "\n".join(_tables(model.model_json_schema())) + "\n\n" + after
    return page


def _tables(schema: dict[str, Any]) -> Iterator[str]:
    yield from _table(schema)
    for name, part in schema["$defs"].items():
        yield ""
        yield f"**{name}**: {part['description'].splitlines()[0]}"
        yield ""
        yield from _table(part)


def _table(part: dict[str, Any]) -> Iterator[str]:
    yield "| key | type | meaning |"
    yield "| --- | --- | --- |"
    for key, value in part["properties"].items():
        missing = [] if key in part.get("required", ()) else ["may be missing"]
        words = "; ".join([*([value["description"]] if "description" in value else []), *missing])
        yield f"| `{key}` | {_type(value)} | {words} |"


def _type(value: dict[str, Any]) -> str:
    """Return a type in words."""
    if "$ref" in value:
        return f"**{value['$ref'].rpartition('/')[2]}**"
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"])
    if "enum" in value:
        return " or ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array" and "items" in value:
        return f"list of {_type(value['items'])}"
    if value.get("type") == "array":
        return "pair"
    names = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    kind = str(value.get("type", "any"))
    return names.get(kind, kind)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
    sys.stdout.write(f"{PAGE} has new tables\n")
