from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torrentnet.lab.errors import LabError, ScenarioError
from torrentnet.lab.plan import Plan, Role
from torrentnet.lab.scenario import list_scenarios, load_plan
from torrentnet.lab.scenario.parse import parse_document
from torrentnet.lab.scenario.read import read_draft
from torrentnet.lab.scenario.resolve import resolve

from .files import HEAD, ROOT, SCENARIOS
from .test_plan import EXPECTED

OURS = ["keepalive", "killed_seed", "many_leechers", "three_seeders", "tracker_restart"]


def test_the_projects_scenarios_are_listed_with_their_about_line() -> None:
    listed = {name: (about, path) for name, about, path in list_scenarios(SCENARIOS)}
    assert set(OURS) <= set(listed)
    for name, (about, path) in listed.items():
        plan = load_plan(path)
        assert about == plan.about
        assert about.endswith(".")
        assert plan.name == name
        assert plan.expectations


def test_three_seeders_is_what_it_promises() -> None:
    plan = load_plan(SCENARIOS / "three_seeders.yaml")
    assert [file.size for file in plan.files] == [8 * 2**20]
    assert [node.name for node in plan.nodes if node.role is Role.SHARE] == ["seeder-1", "seeder-2", "seeder-3"]
    (kill,) = plan.events
    assert (kill.text, kill.nodes) == ("kill seeder-1", ("seeder-1",))
    (forgets,) = [one for one in plan.expectations if one.forgotten]
    assert (forgets.within, forgets.after) == (2.5, kill.index)


def test_a_wrong_file_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("about: Works.\nnodes: {tracker: {tracker: {}}}\n")
    (tmp_path / "bad.yaml").write_text("about: Works not.\nsed: 7\ntime_limit: 60\n")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.txt").write_text("no scenario")
    (tmp_path / "folder.yaml").mkdir()
    assert list_scenarios(tmp_path) == [
        ("bad", "(cannot be used: 3 problems; line 1: `nodes` is missing)", tmp_path / "bad.yaml"),
        (
            "binary",
            "(cannot be used: 1 problem; line 1: the file is not UTF-8: byte 0xff is no text)",
            tmp_path / "binary.yml",
        ),
        ("good", "Works.", tmp_path / "good.yaml"),
    ]
    assert list_scenarios(tmp_path / "nowhere") == []


def test_a_wrong_file_is_a_failure_of_the_lab_with_status_two(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        load_plan(tmp_path / "gone.yaml")
    assert caught.value.exit_code == 2


def judge(text: str) -> Plan | ScenarioError:
    """What becomes of a text: a plan, or the one error that is documented."""
    try:
        document, problems = parse_document(text, "x.yaml")
        draft, wrong = read_draft(document)
        problems += wrong
        plan = resolve(draft, Path("x.yaml"), problems) if draft is not None else None
        if problems or plan is None:
            raise ScenarioError(problems)
    except ScenarioError as error:
        return error
    return plan


LINES = (EXPECTED + HEAD).splitlines(keepends=True)
CRUMBS = st.sampled_from(
    [*"{}[]:,-&*!|>'\"#%@ \n\t?~", "0", "5", "s", "seeder", "node", "&a ", "*a", "<<: ", "- ", "null", "ü"]
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len("".join(LINES))), st.integers(0, 12), st.lists(CRUMBS, max_size=4).map("".join))
def test_a_damaged_file_is_a_plan_or_an_error_in_words(begin: int, length: int, instead: str) -> None:
    text = "".join(LINES)
    judged = judge(text[:begin] + instead + text[begin + length :])
    if isinstance(judged, ScenarioError):
        assert judged.problems
        assert all(problem.text for problem in judged.problems)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["seeder", "5s", "8MiB", "all"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["files", "nodes", "timeline", "expect", "at", "kill", "pause", "node", "has", "tracker", "share"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_structure_is_a_plan_or_an_error_in_words(value: object) -> None:
    import json

    judged = judge(json.dumps({"nodes": value, "timeline": value, "expect": [value], "files": {"a": value}}))
    assert isinstance(judged, ScenarioError)
    assert judged.problems


def test_the_scenario_room_knows_nothing_of_the_programs() -> None:
    program = (
        "import sys, torrentnet.lab.scenario\n"
        "rooms = ('wire', 'tracker', 'peer', 'console')\n"
        "print([name for name in sys.modules if name.startswith(tuple(f'torrentnet.{room}' for room in rooms))])"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said == "[]\n"
