"""Tests of what a page may ask for."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.unit.lab import golden
from torrentnet.lab.errors import UsageError
from torrentnet.lab.ui.verb_request import VERBS, VerbRequest, parse_request

WRONG: Final[tuple[Any, ...]] = (
    b"",
    b"{",
    b"\xff",
    b"[" * 60_000,
    [],
    {},
    {"verb": "exec", "nodes": ["a"]},
    {"verb": ["kill"]},
    {"verb": "kill"},
    {"verb": "kill", "nodes": "leecher-1"},
    {"verb": "kill", "nodes": [1]},
    {"verb": "kill", "nodes": ["a\nb"]},
    {"verb": "kill", "nodes": ["a" * 129]},
    {"verb": "kill", "nodes": ["a"] * 1001},
    {"verb": "kill", "nodes": ["a"], "command": "rm"},
    {"verb": "partition", "sides": [["a"]]},
    {"verb": "partition", "sides": [["a"], []]},
    {"verb": "partition", "sides": "a"},
    {"verb": "impair", "nodes": ["a"]},
    {"verb": "impair", "qualities": {"loss": "5%"}},
    {"verb": "impair", "nodes": ["a"], "qualities": {"cut": "1"}},
    {"verb": "impair", "nodes": ["a"], "qualities": {"loss": 5}},
    {"verb": "impair", "nodes": ["a"], "qualities": []},
)


def test_every_wrong_request_has_a_message() -> None:
    lines = []
    for wrong in WRONG:
        body = wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode()
        with pytest.raises(UsageError) as caught:
            parse_request(body)
        lines.append(f"{body[:60].decode('utf-8', 'replace')}\n    {caught.value.message}\n    {caught.value.hint}")
    golden.check("live_page_requests.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_asked_for(verb: str) -> None:
    row = {"verb": verb, "nodes": ["a"], "sides": [["a"], ["b"]], "qualities": {"loss": "5%"}}
    assert parse_request(json.dumps(row).encode()).verb == verb


def test_whole_request_is_read() -> None:
    row = {"verb": "impair", "from": ["a", "a"], "to": ["b"], "qualities": {"delay": "1s"}, "name": "slow"}
    wanted = VerbRequest("impair", (), (), ("a",), ("b",), {"delay": "1s"}, "slow")
    assert parse_request(json.dumps(row).encode()) == wanted
