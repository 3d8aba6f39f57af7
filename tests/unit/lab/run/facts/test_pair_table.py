"""The bytes of pairs, from the reports of either side."""

from __future__ import annotations

from torrentnet.lab.run.facts.pair_table import PairTable
from torrentnet.runtime.events import parse_event

STAMP = "2026-11-23T12:29:11.123Z"
NAMES = {"198.18.0.4": "one", "198.18.0.5": "two", "198.18.0.6": "leecher"}


def table(*lines: tuple[float, str, str]) -> PairTable:
    """Return the table of what nodes have printed: time, node and text of each line."""
    found = PairTable(lambda address: NAMES.get(address.partition(":")[0], address))
    for time, node, text in lines:
        event = parse_event(f"{STAMP} {text}", node=node, arrived=time)
        assert event is not None
        found.add(event)
    return found


def test_an_observer_reports_both_directions() -> None:
    pairs = table((1.0, "leecher", "pair peer=198.18.0.4 received=900 sent=20"))
    assert pairs.received("leecher", "one") == 900
    assert pairs.received("one", "leecher") == 20
    assert pairs.received("leecher", "two") == 0


def test_the_larger_report_of_a_pair_counts() -> None:
    pairs = table(
        (1.0, "leecher", "pair peer=one received=900 sent=20"), (1.1, "one", "pair peer=leecher received=20 sent=1000")
    )
    assert pairs.received("leecher", "one") == 1000


def test_a_program_that_starts_again_counts_from_zero() -> None:
    pairs = table(
        (1.0, "leecher", "pair peer=one received=900 sent=0"),
        (2.0, "leecher", "pair peer=one received=100 sent=0"),
        (3.0, "leecher", "pair peer=one received=150 sent=0"),
    )
    assert pairs.received("leecher", "one") == 1050


def test_our_own_seed_reports_each_connection() -> None:
    line = "upload address=198.18.0.6:40000 bytes=500 reason=closed"
    assert table((1.0, "one", line), (2.0, "one", line)).received("leecher", "one") == 1000


def test_our_own_leecher_reports_the_pieces_of_each_source() -> None:
    pairs = table(
        (1.0, "leecher", "progress file=a have=4 pieces=4 bytes=4000 size=4000"),
        (1.0, "leecher", "completed file=a bytes=4000 ms=5 sources=one:3,two:1"),
    )
    assert (pairs.received("leecher", "one"), pairs.received("leecher", "two")) == (3000, 1000)
    assert table((1.0, "leecher", "completed file=a sources=disk")).received("leecher", "disk") == 0


def test_the_source_is_who_sends_now() -> None:
    peers = ("one", "two")
    old = (1.0, "leecher", "pair peer=one received=9000 sent=0")
    assert table(old).source("leecher", peers) == "one"
    # It was left for another one.
    assert table(old, (5.0, "leecher", "pair peer=two received=100 sent=0")).source("leecher", peers) == "two"
    # Both send: the one with more bytes.
    assert table(old, (1.2, "leecher", "pair peer=two received=100 sent=0")).source("leecher", peers) == "one"
    assert table((1.0, "leecher", "pair peer=one received=0 sent=40")).source("leecher", peers) == ""
    assert table(old).source("leecher", ["two"]) == ""
