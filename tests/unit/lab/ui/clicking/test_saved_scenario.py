"""Tests of the scenario that repeats what was clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from torrentnet.lab.paths import scenarios_folder
from torrentnet.lab.scenario.load import load_plan, resolve_text
from torrentnet.lab.ui.clicking.clicks import Click, ClickList
from torrentnet.lab.ui.clicking.saved_scenario import ScenarioSource, save_scenario

if TYPE_CHECKING:
    from pathlib import Path

KILL = Click(3.25, "kill", ["leecher"])
CUT = Click(1.0, "partition", [["tracker"], ["seeder"]], "clicked-1", lasting=True, ended=2.5)
SLOW = Click(1.5, "impair", {"from": ["seeder"], "loss": "5%"}, "clicked-2", lasting=True)
NODES = """\
files: {a: {size: 1MiB}}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a}
  leecher: {get: a}
"""
FORMS = {
    "none": NODES,
    "named": "name: trial  # the file's\n" + NODES,
    "named in braces": "{name: trial, nodes: {tracker: {tracker: {}}, seeder: {share: a}, leecher: {get: a}},"
    " files: {a: {size: 1MiB}}}",
    "none, no newline": NODES.rstrip(),
    "empty": "timeline: []\n" + NODES,
    "block": NODES + "timeline:\n  - {at: 1s, pause: seeder, for: 1s}\n",
    "block in the middle": "timeline:\n- at: 1s\n  pause: seeder\n  for: 1s\n\n# the nodes\n" + NODES,
    "flow": NODES + "timeline: [{at: 1s, pause: seeder, for: 1s}]\nexpect: none\n",
    "whole file in braces": "{files: {a: {size: 1MiB}}, nodes: {tracker: {tracker: {}}, seeder: {share: a},"
    " leecher: {get: a}}}",
}


def source(text: str, folder: Path, **more: object) -> ScenarioSource:
    """Return a scenario of a text."""
    path = folder / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return ScenarioSource(text, path, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_clicks_become_events_whatever_the_files_form(form: str, tmp_path: Path) -> None:
    found = source(FORMS[form], tmp_path)
    before = load_plan(found.path).events
    saved = save_scenario(found, [CUT, SLOW, KILL])
    assert "It does not load" not in saved
    plan = resolve_text(saved, "saved.yaml", tmp_path / "saved.yaml", {})
    assert len(plan.events) == len(before) + 3
    assert {(event.verb, event.at) for event in plan.events} >= {("partition", 1.0), ("impair", 1.5), ("kill", 3.25)}


def test_text_stays_as_it_was_written() -> None:
    path = scenarios_folder() / "partition_heals.yaml"
    text = path.read_text(encoding="utf-8")
    saved = save_scenario(ScenarioSource(text, path, 60.0), [KILL])
    golden.check("live_page_saved_scenario.txt", saved)
    added = [line for line in saved.splitlines() if line not in text.splitlines()]
    assert len(added) == 3
    # A scenario has its file's name.
    assert [line for line in text.splitlines() if line not in saved.splitlines()] == ["name: partition_heals"]


def test_time_limit_is_long_enough(tmp_path: Path) -> None:
    late = Click(100.0, "kill", ["seeder"])
    for text in (
        NODES,
        "name: trial\n" + NODES,
        "time_limit: 30s\n" + NODES,
        "{time_limit: 30s, " + FORMS["whole file in braces"][1:],
    ):
        saved = save_scenario(source(text, tmp_path, time_limit=30.0), [late])
        assert resolve_text(saved, "s.yaml", tmp_path / "s.yaml", {}).time_limit == 105.0


def test_parameters_of_the_command_line_are_kept(tmp_path: Path) -> None:
    text = "parameters: {size: 1MiB, n: 1}\nseed: $n\n" + NODES.replace("1MiB", "$size")
    saved = save_scenario(source(text, tmp_path, parameters=(("size", "2MiB"), ("n", "1"))), [KILL])
    assert resolve_text(saved, "s.yaml", tmp_path / "s.yaml", {}).files[0].content == 2 * 2**20


def test_place_of_relative_paths_is_named(tmp_path: Path) -> None:
    (tmp_path / "content.bin").write_bytes(b"x" * 100)
    text = NODES.replace("{size: 1MiB}", "{source: content.bin}")
    saved = save_scenario(source(text, tmp_path), [KILL])
    assert f"# Its files are named relative to {tmp_path}: save it there." in saved
    assert "does not load" not in saved


def test_what_the_language_cannot_say_is_said(tmp_path: Path) -> None:
    text = NODES + "timeline:\n  - {at: 2s, kill: seeder}\n"
    saved = save_scenario(source(text, tmp_path), [Click(1.0, "kill", ["seeder"])])
    assert "# It does not load as it is" in saved
    assert "`seeder` was killed at 1s already" in saved
    assert "- {at: 1s, kill: seeder}" in saved


def test_click_list_survives_a_file() -> None:
    clicks = ClickList()
    clicks.add(KILL)
    clicks.end([clicks.add(SLOW)], 9.0)
    again = ClickList.parse(clicks.text())
    assert again.all() == clicks.all()
    assert [click.verb for click in again.all()] == ["impair", "kill"]
