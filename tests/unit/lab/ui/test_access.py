"""Tests of who may ask for what."""

from __future__ import annotations

import pytest

from tests.unit.lab import golden
from torrentnet.lab.ui.access import (
    NO_KEY,
    NOT_JSON,
    READ_ONLY,
    TOO_LARGE,
    TOO_SLOW,
    WRONG_HOST,
    WRONG_ORIGIN,
    AccessRules,
    new_key,
)


@pytest.mark.parametrize("host", ["127.0.0.1:6780", "localhost:6780", "LOCALHOST:6780", "[::1]:6780"])
def test_own_names_are_known(host: str) -> None:
    assert AccessRules(6780).knows_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:6780", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:6780:6780", "localhost.:6780",
     "localhost@evil.example:6780", "192.0.2.1:6780", "[::1", ":6780", "127.1:6780", "2130706433:6780"],
)  # fmt: skip
def test_other_names_are_not_known(host: str) -> None:
    assert not AccessRules(6780).knows_host(host)


def test_addresses_are_known_where_the_server_has_all() -> None:
    rules = AccessRules(6780, any_address=True)
    assert rules.knows_host("192.0.2.1:6780")
    assert rules.knows_host("[2001:db8::1]:6780")
    assert not rules.knows_host("evil.example:6780")
    assert not rules.knows_host("192.0.2.1:80")


def test_the_default_port_is_left_out_by_browsers() -> None:
    assert AccessRules(80).knows_host("localhost")
    assert AccessRules(80).knows_host("[::1]")


def test_keys_are_random_and_different() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}


def test_each_key_allows_its_own() -> None:
    rules = AccessRules(6780)
    assert rules.controls(rules.control_key) is True
    assert rules.controls(rules.watch_key) is False
    for wrong in ("", "0" * 32, rules.control_key[:-1], rules.control_key + "0", "\udcff", "ключ"):
        assert rules.controls(wrong) is None


def test_no_key_controls_a_read_only_server() -> None:
    rules = AccessRules(6780, control_key="")
    assert rules.controls("") is None
    assert rules.controls(rules.watch_key) is False


def test_every_refusal_says_what_to_do() -> None:
    refusals = (WRONG_HOST, WRONG_ORIGIN, NO_KEY, READ_ONLY, NOT_JSON, TOO_LARGE, TOO_SLOW)
    golden.check("live_page_refusals.txt", "".join(f"{one.status} {one.text}\n" for one in refusals))
