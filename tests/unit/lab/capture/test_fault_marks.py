"""What faults did to packets, by the record's rows."""

from __future__ import annotations

from typing import Any, Final

import pytest

from torrentnet.lab.capture.fault_marks import FaultHistory

ZERO: Final = 1_796_000_000_000_000_000
CUT: Final[dict[str, Any]] = {
    "kind": "partition",
    "name": "cable-cut",
    "text": "partition a | b",
    "pairs": [["a", "b"], ["b", "a"]],
    "qualities": {"cut": True},
    "began": 2.0,
    "applied": 2.1,
    "fault": 1,
}
HEAL: Final[dict[str, Any]] = {"kind": "heal", "text": "heal cable-cut", "began": 5.0, "applied": 5.1, "ends": 1}


def _at(seconds: float) -> int:
    return ZERO + round(seconds * 1e9)


def _history(*rows: dict[str, Any]) -> FaultHistory:
    history = FaultHistory()
    for row in rows:
        history.add_row(row, ZERO)
    return history


SURE: Final = "stopped on arrival at b by cable-cut"


@pytest.mark.parametrize(
    ("time", "mark"),
    [
        (1.9, ""),
        (2.05, "may have been stopped on arrival at b by cable-cut, which was being set"),
        (2.2, SURE),
        (4.9, SURE),
        (5.05, "may have been stopped on arrival at b by cable-cut, which was being lifted"),
        (5.2, ""),
    ],
)
def test_a_cut_stops_packets_from_its_application_to_its_end(time: float, mark: str) -> None:
    assert _history(CUT, HEAL).mark("a", "b", _at(time)) == mark


def test_a_cut_without_an_end_lasts() -> None:
    assert _history(CUT).mark("a", "b", _at(1e6)) == SURE


def test_other_links_and_directions_are_free() -> None:
    history = _history({**CUT, "pairs": [["a", "b"]]})
    assert history.mark("a", "b", _at(3)) == SURE
    assert not history.mark("b", "a", _at(3))
    assert not history.mark("a", "c", _at(3))


def test_a_fault_without_a_name_is_quoted() -> None:
    mark = _history({**CUT, "name": None}).mark("a", "b", _at(3))
    assert mark == "stopped on arrival at b by `partition a | b`"


def test_a_loss_is_a_doubt_and_a_later_override_wins() -> None:
    loss = {**CUT, "name": "rain", "qualities": {"loss": 0.05}, "fault": 2, "began": 1.0, "applied": 1.0}
    history = _history(loss)
    assert history.mark("a", "b", _at(1.5)) == "may have been lost on arrival at b (5 %)"
    history.add_row(CUT, ZERO)
    assert history.mark("a", "b", _at(3)) == SURE
    history.add_row(HEAL, ZERO)
    assert history.mark("a", "b", _at(6)) == "may have been lost on arrival at b (5 %)"
    history.add_row({**loss, "qualities": {"loss": 0}, "fault": 3, "began": 7.0, "applied": 7.0}, ZERO)
    assert not history.mark("a", "b", _at(8))


def test_links_of_the_scenario_are_in_force_from_the_beginning() -> None:
    history = FaultHistory()
    history.add_links([{"text": "impair", "pairs": [["a", "b"]], "qualities": {"loss": 0.5, "delay": 0.1}}])
    assert history.mark("a", "b", 0) == "may have been lost on arrival at b (50 %)"


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"began": None, "pairs": [["a", "b"]]},
        {"began": 1.0, "applied": 1.0, "text": "kill a"},
        {"began": 1.0, "applied": 1.0, "ends": 7},
        {**CUT, "error": "the engine failed"},
        {**CUT, "qualities": {"rate": 1e6}},
        {**CUT, "qualities": None},
    ],
)
def test_other_rows_mark_nothing(row: dict[str, Any]) -> None:
    assert not _history(row).mark("a", "b", _at(3))
