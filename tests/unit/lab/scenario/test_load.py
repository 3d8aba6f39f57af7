from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.lab.scenario.resolve.test_scenario import EXPECTED
from tests.unit.lab.scenario.scenario_files import HEAD, ROOT, SCENARIOS
from torrentnet.lab.errors import LabError, ScenarioError, UsageError
from torrentnet.lab.scenario import load as loading
from torrentnet.lab.scenario.language.draft import read_draft
from torrentnet.lab.scenario.language.parameters import substitute_parameters
from torrentnet.lab.scenario.language.yaml_parser import parse_document
from torrentnet.lab.scenario.load import find_plan, list_scenarios, load_plan
from torrentnet.lab.scenario.plan.expectations import ForgetsCheckPlan, Within
from torrentnet.lab.scenario.plan.plan import Plan, Role
from torrentnet.lab.scenario.resolve.scenario import resolve

OURS = [
    "bad_seed",
    "churn",
    "flash_crowd",
    "full_disk",
    "keepalive",
    "killed_seed",
    "lossy_udp",
    "many_leechers",
    "mixed_swarm",
    "name_clash",
    "one_way_cut",
    "opentracker",
    "partition_heals",
    "paused_seed",
    "real_clients",
    "slow_seed",
    "three_seeders",
    "tracker_dies_mid_transfer",
    "tracker_restart",
]


def test_a_name_with_its_files_suffix_is_that_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_plan("three_seeders.yaml", SCENARIOS).name == "three_seeders"
    # A file of the current directory comes first.
    text = (SCENARIOS / "three_seeders.yaml").read_text("utf-8")
    (tmp_path / "three_seeders.yaml").write_text(text.replace("Two leechers", "My leechers"), encoding="utf-8")
    assert find_plan("three_seeders.yaml", SCENARIOS).about.startswith("My leechers")


def test_our_scenarios_are_listed_with_their_about_line() -> None:
    listed = {name: (about, path) for name, about, path in list_scenarios(SCENARIOS)}
    assert set(OURS) <= set(listed)
    assert all((SCENARIOS / f"{name}.yaml").read_text("utf-8").count("\n# ") >= 2 for name in OURS), "tell the story"
    for name, (about, path) in listed.items():
        plan = load_plan(path)
        assert about == plan.about
        assert about.endswith(".")
        assert plan.name == name
        assert plan.expectations


def test_a_wrong_file_is_listed_with_its_first_problem(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("about: Works.\nnodes: {tracker: {tracker: {}}}\n")
    (tmp_path / "bad.yaml").write_text("about: Fails.\nsed: 7\ntime_limit: 60\n")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.txt").write_text("no scenario")
    (tmp_path / "folder.yaml").mkdir()
    assert list_scenarios(tmp_path) == [
        ("bad", "(cannot be used: 3 problems; line 1: `nodes` is missing)", tmp_path / "bad.yaml"),
        (
            "binary",
            "(cannot be used: 1 problem; line 1: the file is not UTF-8: byte 0xff is invalid)",
            tmp_path / "binary.yml",
        ),
        ("good", "Works.", tmp_path / "good.yaml"),
    ]
    assert list_scenarios(tmp_path / "nowhere") == []


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that have been read, in order."""
    names: list[str] = []

    def load(path: Path, *args: Any, **more: Any) -> Plan:
        names.append(path.name)
        return load_plan(path, *args, **more)

    monkeypatch.setattr(loading, "load_plan", load)
    return names


def test_only_the_named_scenario_is_read(tmp_path: Path, loaded: list[str]) -> None:
    (tmp_path / "mine.yaml").write_text(HEAD)
    (tmp_path / "other.yaml").write_text("not: a scenario")
    assert find_plan("mine", tmp_path).name == "mine"
    assert find_plan(str(tmp_path / "mine.yaml"), tmp_path).name == "mine"
    assert loaded == ["mine.yaml", "mine.yaml"]


def test_an_unknown_name_is_reported_without_reading_files(tmp_path: Path, loaded: list[str]) -> None:
    (tmp_path / "three_seeders.yaml").write_text("not: a scenario")
    with pytest.raises(UsageError, match="there is no scenario `three_seders`") as caught:
        find_plan("three_seders", tmp_path)
    assert caught.value.hint == "did you mean `three_seeders`? `make scenarios` lists what there is"
    with pytest.raises(UsageError, match="there is no file nowhere"):
        find_plan("nowhere.yaml", tmp_path)
    assert loaded == []


def test_three_seeders_matches_its_description() -> None:
    plan = load_plan(SCENARIOS / "three_seeders.yaml")
    assert [file.content for file in plan.files] == [8 * 2**20]
    assert [node.name for node in plan.nodes if node.role is Role.SHARE] == ["seeder-1", "seeder-2", "seeder-3"]
    (kill,) = plan.events
    assert (kill.text, kill.nodes) == ("kill seeder-1", ("seeder-1",))
    (forgets,) = [one for one in plan.expectations if isinstance(one, ForgetsCheckPlan)]
    assert forgets.timing == Within(2.5, after=kill.index)


def test_a_missing_file_ends_with_status_two(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        load_plan(tmp_path / "gone.yaml")
    assert caught.value.exit_code == 2


def judge(text: str) -> Plan | ScenarioError:
    """Return the plan of a text, or the documented error."""
    try:
        document, problems = parse_document(text, "x.yaml")
        document, unset, _ = substitute_parameters(document, {"size": "9MiB"})
        problems += unset
        draft, wrong = read_draft(document)
        problems += wrong
        plan = resolve(draft, Path("x.yaml"), problems) if draft is not None else None
        if problems or plan is None:
            raise ScenarioError(problems)
    except ScenarioError as error:
        return error
    return plan


MORE = """\
parameters: {size: 2MiB, leechers: 3}
about: $size for $leechers.
links:
  - {between: all, delay: 20ms, jitter: 5ms}
  - {from: [seeder, tracker], to: leecher, rate: 8mbit, loss: 1%}
"""
NETWORK = """\
  - {at: 8s, partition: [[tracker, seeder], [leecher]], for: 10s, name: cable-cut}
  - {when: leecher-1 has 50% of myfile.txt, isolate: 1 of leecher, until: 40s}
  - {when: 2s after cable-cut, impair: {between: [seeder, leecher], loss: 5%}, for: rest}
  - {at: 12s, heal: [cable-cut]}
  - {every: 5s, from: 21s, until: 31s, run: ls $$HOME, node: leecher-2}
"""
EXPECTED_TOO = """\
  - {node: tracker, knows: 4 to 6, always: 5s, after: cable-cut}
  - {node: leecher, log: {event: picked, peer: seeder-1}, times: at least 2, level: warning, fail: never}
  - {node: leecher, bytes: {received: at most 9MiB}, always: rest}
"""
TEXT = MORE + EXPECTED.replace("expect:\n", NETWORK + "expect:\n") + EXPECTED_TOO + HEAD
WORDS = re.findall(r"\S+", "seeder node *a <<: null ü ${ $size all")
CRUMBS = st.sampled_from([*"{}[]:,-&*!|>'\"#%@ \n\t?05s", *WORDS, "&a ", "- ", "of ", "after "])


@settings(max_examples=150)
@given(st.integers(0, len(TEXT)), st.integers(0, 12), st.lists(CRUMBS, max_size=4).map("".join))
def test_a_damaged_file_is_a_plan_or_a_described_error(begin: int, length: int, instead: str) -> None:
    judged = judge(TEXT[:begin] + instead + TEXT[begin + length :])
    if isinstance(judged, ScenarioError):
        assert judged.problems
        assert all(problem.text for problem in judged.problems)


KEYS = re.findall(
    r"\w+",
    "files nodes timeline expect at kill pause node has tracker share when every partition isolate impair between heal"
    " log bytes",
)


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["seeder", "5s", "8MiB", "all"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_structure_is_a_plan_or_a_described_error(value: object) -> None:
    judged = judge(
        json.dumps(
            {
                "nodes": value,
                "timeline": value,
                "expect": [value],
                "files": {"a": value},
                "links": [value],
                "parameters": {"a": value},
            }
        )
    )
    assert isinstance(judged, ScenarioError)
    assert judged.problems


def test_scenarios_load_without_importing_the_programs() -> None:
    program = (
        "import sys, torrentnet.lab.scenario.load\n"
        "rooms = ('tracker', 'peer', 'adapters', 'console')\n"
        "print([name for name in sys.modules if name.startswith(tuple(f'torrentnet.{room}' for room in rooms))])"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said == "[]\n"
