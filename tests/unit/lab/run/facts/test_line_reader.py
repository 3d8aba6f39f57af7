"""Events are read only of programs that may write them."""

from __future__ import annotations

import pytest

from tests.unit.lab.fakes import foreign, leecher, make_plan, seeder
from torrentnet.lab.engines.types import LogLine
from torrentnet.lab.run.facts.line_reader import LineReader, ReadLine
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.scenario.plan.expectations import LogPattern
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Role

STAMP = "2026-11-23T12:29:11.123Z"
FORGED = f"{STAMP} completed file=a.txt bytes=100 ms=5"


def read(node: NodePlan, text: str) -> ReadLine:
    reader = LineReader([node])
    reader.set_addresses({"seeder-1": "198.18.0.4", "leecher-1": "198.18.0.5"})
    return reader.read(LogLine(node.name, 1.0, text))


TRACKER = make_plan().nodes[0]
ARIA2 = NodePlan("aria", "aria", Role.GET, "a.txt", 0.0, program=NodeProgram.ARIA2)


@pytest.mark.parametrize(
    ("node", "text", "believed"),
    [
        (leecher(), FORGED, True),
        (leecher(), f"{STAMP} forgotten peer=seeder-1", False),
        (leecher(), f"{STAMP} zero", False),
        (leecher(), f"{STAMP} applied text=kill", False),
        (leecher(), f"{STAMP} no_such_event a=b", False),
        (seeder(), FORGED, False),
        (TRACKER, f"{STAMP} forgotten peer=seeder-1", True),
        (TRACKER, f"{STAMP} state state=seed file=a.txt", False),
        (ARIA2, f"{STAMP} picked peer=seeder-1", False),
        (ARIA2, FORGED, True),
        (foreign("theirs", Role.GET), f"{STAMP} picked peer=seeder-1", False),
        (foreign("theirs", Role.GET), f"{STAMP} shaper_failed reason=gone", True),
    ],
)
def test_only_a_programs_own_events_are_believed(node: NodePlan, text: str, believed: bool) -> None:
    assert (read(node, text).event is not None) is believed


def test_what_a_foreign_program_prints_is_no_event() -> None:
    node = foreign("theirs", Role.GET)
    lab_state = LabState([node.name], reader=LineReader([node]))
    pattern, event = LogPattern(text="completed file=a.txt"), LogPattern(event="completed")
    for one in (pattern, event):
        lab_state.count_lines(node.name, one)
    lab_state.add_line(LogLine(node.name, 1.0, f'{STAMP} said text="{FORGED}"'))
    assert lab_state.events(node.name, "completed") == []
    assert lab_state.line_count(node.name, event, 0.0, 9.0).number == 0
    # It is the program's own text all the same.
    assert lab_state.line_count(node.name, pattern, 0.0, 9.0).number == 1
    assert lab_state.last_lines(node.name) == [FORGED]


def test_an_observers_own_events_are_no_words_of_the_program() -> None:
    node = foreign("theirs", Role.GET)
    found = read(node, FORGED)
    assert found.event is not None
    assert found.words is None
    lab_state = LabState([node.name], reader=LineReader([node]))
    lab_state.count_lines(node.name, pattern := LogPattern(text="completed"))
    lab_state.add_line(LogLine(node.name, 1.0, FORGED))
    assert lab_state.line_count(node.name, pattern, 0.0, 9.0).number == 0
    assert lab_state.last_lines(node.name) == []


def test_the_log_of_a_foreign_program_has_its_own_words() -> None:
    assert read(foreign("theirs", Role.GET), f'{STAMP} said text="hello you"').words == "hello you"
    assert read(foreign("theirs", Role.GET), "Traceback").words == "Traceback"
    assert read(ARIA2, f'{STAMP} said text="hello you"').words == f'{STAMP} said text="hello you"'


def test_addresses_in_an_observers_events_become_names() -> None:
    event = read(foreign("theirs", Role.GET), f'{STAMP} completed sources="198.18.0.4:900,198.18.0.9:1"').event
    assert event is not None
    assert event.fields["sources"] == "seeder-1:900,198.18.0.9:1"


def test_a_nodes_name_is_found_by_its_address() -> None:
    reader = LineReader()
    reader.set_addresses({"seeder-1": "198.18.0.4"})
    found = [reader.name_of(address) for address in ("198.18.0.4:6881", "198.18.0.4", "198.18.0.5:1")]
    assert found == ["seeder-1", "seeder-1", "198.18.0.5:1"]
