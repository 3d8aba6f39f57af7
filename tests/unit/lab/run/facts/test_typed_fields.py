"""What the table calls a number is a number in the record."""

from __future__ import annotations

import pytest

from torrentnet.lab.run.facts.typed_fields import typed_fields
from torrentnet.runtime.events import parse_event


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("picked peer=7 address=1.2.3.4:5 among=3", {"peer": "7", "address": "1.2.3.4:5", "among": 3}),
        ("lookup file=true found=false size=0", {"file": "true", "found": False, "size": 0}),
        ("sighted direction=in bytes=12 size=true", {"direction": "in", "bytes": 12, "size": True}),
        ("progress have=x pieces=-1 bytes=1e3 size=", {"have": "x", "pieces": "-1", "bytes": "1e3", "size": ""}),
        (f"progress have={10**18} pieces={10**17}", {"have": str(10**18), "pieces": 10**17}),
        ("unknown have=1", {"have": "1"}),
    ],
)
def test_fields_have_the_types_of_the_table(line: str, fields: dict[str, object]) -> None:
    event = parse_event(f"2026-11-23T12:29:11.123Z {line}")
    assert event is not None
    found = typed_fields(event)
    assert found == fields
    assert [type(value) for value in found.values()] == [type(value) for value in fields.values()]
    assert list(found) == list(fields)
