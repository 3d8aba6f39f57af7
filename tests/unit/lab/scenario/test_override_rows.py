"""A link override survives its way through JSON."""

from __future__ import annotations

import json
import math

import pytest

from torrentnet.lab.scenario.override_rows import pairs_row, parse_override, qualities_row
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities

PAIRS = frozenset({("b", "a"), ("a", "b"), ("a", "c")})


@pytest.mark.parametrize(
    "qualities",
    [LinkQualities(cut=True), LinkQualities(cut=False, loss=0.05, delay=0.1), LinkQualities(rate=math.inf, uplink=1e6)],
)
def test_an_override_is_read_as_it_was_written(qualities: LinkQualities) -> None:
    row = {"text": "fault", "pairs": pairs_row(PAIRS), "qualities": qualities_row(qualities)}
    assert row["pairs"] == [["a", "b"], ["a", "c"], ["b", "a"]]
    assert parse_override(json.loads(json.dumps(row, allow_nan=False))) == LinkOverride(PAIRS, qualities, "fault")


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"text": "", "pairs": {}, "qualities": {}},
        {"text": "", "pairs": [["a"]], "qualities": {}},
        {"text": "", "pairs": [], "qualities": {"speed": 1}},
        {"text": "", "pairs": [], "qualities": {"loss": 7}},
    ],
)
def test_a_row_of_another_form_is_refused(row: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_override(row)
