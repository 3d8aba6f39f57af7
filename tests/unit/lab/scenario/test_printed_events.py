"""Wanted events that nodes can print, and those that they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.scenario.scenario_files import HEAD, load
from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Role
from torrentnet.lab.scenario.printed_events import find_event_mistake, find_text_mistake

if TYPE_CHECKING:
    from pathlib import Path

TRACKER = NodePlan("tracker", "tracker", Role.TRACKER, None, 0.0)
SEEDER = NodePlan("seeder", "seeder", Role.SHARE, "myfile.txt", 0.0)
LEECHER = NodePlan("leecher", "leecher", Role.GET, "myfile.txt", 0.0)
ARIA = NodePlan("aria", "aria", Role.GET, "myfile.txt", 0.0, program=NodeProgram.ARIA2)
OPENTRACKER = NodePlan("tracker", "tracker", Role.TRACKER, None, 0.0, program=NodeProgram.OPENTRACKER)


@pytest.mark.parametrize(
    ("node", "name", "fields"),
    [
        (TRACKER, "forgotten", {"peer": "seeder", "silent_ms": "2000"}),
        (SEEDER, "published", {"file": "myfile.txt"}),
        (LEECHER, "completed", {"bytes": "8388608"}),
        (TRACKER, "completed", {"peer": "leecher"}),
        (LEECHER, "shaper_failed", {}),
        (ARIA, "said", {"text": "anything: 5"}),
        (ARIA, "completed", {"sha256": "00ff"}),
        (OPENTRACKER, "listening", {"program": "opentracker"}),
        (LEECHER, "lookup", {"found": "false", "size": "0"}),
        (LEECHER, "bad_piece", {"address": "[fd00::5]:6881"}),
    ],
)
def test_events_of_the_table_can_be_waited_for(node: NodePlan, name: str, fields: dict[str, str]) -> None:
    assert find_event_mistake(name, fields, [node]) is None


@pytest.mark.parametrize(
    ("node", "name", "fields", "key"),
    [
        (ARIA, "bad_piece", {}, "event"),
        (OPENTRACKER, "published", {}, "event"),
        (LEECHER, "completed", {"sha256": "00ff"}, "sha256"),
        (LEECHER, "lookup", {"found": "no"}, "found"),
        (ARIA, "completed", {"sha256": "XYZ"}, "sha256"),
        (LEECHER, "hashing", {"percent": "50%"}, "event"),
        (SEEDER, "hashing", {"percent": "50%"}, "percent"),
    ],
)
def test_what_a_program_never_prints_is_found(node: NodePlan, name: str, fields: dict[str, str], key: str) -> None:
    mistake = find_event_mistake(name, fields, [node])
    assert mistake is not None
    assert mistake.key == key


def test_absence_needs_one_node_that_could_print_the_event() -> None:
    assert find_event_mistake("bad_piece", {}, [TRACKER, LEECHER], absent=True) is None
    assert find_event_mistake("bad_piece", {}, [TRACKER, LEECHER]) is not None
    assert find_event_mistake("bad_piece", {}, [TRACKER, SEEDER], absent=True) is not None


@pytest.mark.parametrize(
    "text", ["no space left", "complete", "Traceback", "bad_piece", "myfile", "peer=seeder-1", "left"]
)
def test_a_text_is_free(text: str) -> None:
    assert find_text_mistake(text, [LEECHER]) is None


def test_a_command_in_the_node_may_print_any_event(tmp_path: Path) -> None:
    timeline = "timeline:\n  - {at: 5s, run: sh /data/own.sh, node: leecher-1}\nexpect:\n"
    load(tmp_path, f"{HEAD}{timeline}  - {{node: leecher-1, log: {{event: my_own, anything: goes}}}}\n")
    with pytest.raises(ScenarioError, match="cannot be the name of an event"):
        load(tmp_path, f"{HEAD}{timeline}  - {{node: leecher-1, log: {{event: My own}}}}\n")
    with pytest.raises(ScenarioError, match="unknown event `my_own`"):
        load(tmp_path, f"{HEAD}{timeline}  - {{node: leecher-2, log: {{event: my_own}}}}\n")
