"""The rules that faults set are the lab's own, rendered from what the record has."""

from __future__ import annotations

from typing import Any

from torrentnet.lab.report.document_rules import MAX_PAIRS, MAX_RULES, fault_rules


def fault(number: int, began: int, ended: int | None, pairs: list[list[int]], **qualities: object) -> dict[str, Any]:
    return {
        "id": number,
        "text": f"fault {number}",
        "began": began,
        "ended": ended,
        "pairs": pairs,
        "qualities": qualities,
        "error": None,
    }


def document(*faults: dict[str, Any], nodes: int = 3, links: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "nodes": [
            {"name": f"n{place}", "address": f"198.18.{place // 200}.{2 + place % 200}"} for place in range(nodes)
        ],
        "faults": list(faults),
        "links": list(links),
    }


def test_a_cut_and_a_loss_are_rules_at_the_receiver() -> None:
    assert fault_rules(document(fault(0, 10, 20, [[0, 1]], cut=True), fault(1, 30, None, [[1, 2]], loss=0.05))) == [
        [0, 1, "-A TORRENTNET -s 198.18.0.2/32 -j DROP  (nothing from n0)"],
        [1, 2, "-A TORRENTNET -s 198.18.0.3/32  (5 % of the packets from n1 are lost)"],
        [1, 2, "-A TORRENTNET -s 198.18.0.3/32 -m statistic --mode random --probability 0.05 -j DROP"],
    ]


def test_a_rate_is_a_class_at_the_sender() -> None:
    (first, *_) = fault_rules(document(fault(0, 10, None, [[0, 1]], rate=1_000_000)))
    assert first[:2] == [0, 0]
    assert first[2].startswith("qdisc ") or first[2].startswith("class ")


def test_what_is_in_force_already_is_no_new_rule() -> None:
    cut = {"text": "links", "pairs": [[0, 1]], "qualities": {"cut": True}}
    assert fault_rules(document(fault(0, 10, None, [[0, 1]], cut=True), links=(cut,))) == []


def test_very_many_rules_are_counted() -> None:
    pairs = [[source, target] for source in range(80) for target in range(80) if source != target]
    few = fault_rules(document(fault(0, 10, None, pairs[:100], cut=True), nodes=80))
    assert len(few) == MAX_RULES + 1
    assert few[-1] == [0, -1, "and 40 more rules"]
    assert fault_rules(document(fault(0, 10, None, pairs, cut=True), nodes=80)) == [
        [0, -1, f"rules for {len(pairs)} links, not listed"]
    ]
    assert len(pairs) > MAX_PAIRS


def test_a_record_without_addresses_or_with_wrong_values_has_no_rules() -> None:
    wrong = document(fault(0, 10, None, [[0, 9]], cut=True), fault(1, 10, None, [[0, 1]], loss="much", speed=3))
    assert fault_rules(wrong) == []
    unknown = document(fault(0, 10, None, [[0, 1]], cut=True))
    unknown["nodes"][0]["address"] = None
    assert fault_rules(unknown) == []
