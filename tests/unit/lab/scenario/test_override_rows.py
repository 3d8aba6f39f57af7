"""A link override survives its way through JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.scenario.override_rows import override_row, pairs_row, parse_override, qualities_row
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
        {"text": "", "pairs": [["a", "b"]], "qualities": {"speed": 1}},
        {"text": "", "pairs": [], "qualities": {}},
        {"text": "", "pairs": [["a", "b"]], "qualities": {"loss": 7}},
        {"text": "", "links": [{"from": [1], "to": [2]}], "qualities": {}},
        {"text": "", "links": [[]], "qualities": {}},
    ],
)
def test_a_row_of_another_form_is_refused(row: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_override(row)


@given(
    st.sets(
        st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")).filter(lambda pair: pair[0] != pair[1]),
        min_size=1,
    )
)
def test_the_short_form_has_the_same_pairs(pairs: set[tuple[str, str]]) -> None:
    override = LinkOverride(frozenset(pairs), LinkQualities(loss=0.5), "fault")
    assert parse_override(json.loads(json.dumps(override_row(override)))) == override


@pytest.mark.parametrize("kind", ["among all", "partition", "uplink"])
def test_hundreds_of_nodes_are_a_short_row(kind: str) -> None:
    names = [f"node-{number}" for number in range(300)]
    sides = {"among all": (names, names), "partition": (names[:150], names[150:]), "uplink": (names[:9], names)}
    left, right = sides[kind]
    pairs = {(a, b) for a in left for b in right if a != b}
    pairs |= {(b, a) for a, b in pairs} if kind == "partition" else set()
    override = LinkOverride(frozenset(pairs), LinkQualities(cut=True), kind)
    assert len(json.dumps(override_row(override))) < 15_000
    assert parse_override(override_row(override)) == override
