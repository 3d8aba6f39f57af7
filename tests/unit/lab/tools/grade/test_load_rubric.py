"""Rubrics: what a file becomes, and how each mistake is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from torrentnet.lab.errors import ScenarioError, UsageError
from torrentnet.lab.paths import rubrics_folder
from torrentnet.lab.tools.grade.load_rubric import find_rubric, load_rubric
from torrentnet.lab.tools.grade.models import schema
from torrentnet.lab.tools.grade.rubric import CreditRule, Demand

ROOT = Path(__file__).resolve().parents[5]
SMALL = """\
name: small
about: A small rubric.
experiments:
  download:
    files: {a.txt: {size: 1KiB}}
    nodes:
      tracker: {tracker: {}}
      seed: {share: a.txt}
      leecher: {get: a.txt, count: 2}
criteria:
  starts:
    title: starts
    points: 2
    experiment: download
    expect: {node: tracker, state: running, at: 5s}
  gets:
    title: gets it
    points: 8.5
    experiment: download
    needs: starts
    expect:
      - {node: leecher, has: a.txt, within: 20s}
      - {node: seed, state: running, at: 21s}
    any_of: {node: leecher, exit: 1}
    partial:
      points: 3
      expect: {node: leecher-1, has: a.txt, within: 20s}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_expectations_of_all_criteria_make_one_experiment(tmp_path: Path) -> None:
    rubric = load_rubric(write(tmp_path, SMALL))
    (experiment,) = rubric.experiments
    starts, gets = rubric.criteria
    assert (starts.full, starts.partial) == (Demand(2, (0,)), None)
    assert (gets.full, gets.partial) == (Demand(8.5, (1, 2), (3,)), Demand(3, (4,)))
    assert (gets.needs, gets.credit, rubric.points) == (("starts",), CreditRule.ALL, 10.5)
    assert [one.text for one in experiment.plan.expectations][1].startswith("leecher-1, leecher-2 have a.txt")
    assert {one.severity for one in experiment.plan.expectations} == {"warning"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("points: 2", "points: two", "13:13: criteria.starts.points: `two` is no number of points"),
        ("points: 2", "points: 0", "13:13: criteria.starts.points: `0` is no number of points"),
        ("points: 2", "point: 2", "13:5: criteria.starts.point: unknown key `point`"),
        ("    points: 2\n", "", "11:3: criteria.starts: `points` is missing"),
        ("points: 3", "points: 9", "`partial` gives as many points as the whole"),
        ("needs: starts", "needs: gets", "there is no criterion `gets` above this one"),
        ("needs: starts", "needs: [starts, x]", "there is no criterion `x` above this one"),
        ("experiment: download\n    needs", "experiment: downlaod\n    needs", "there is no experiment `downlaod`"),
        ("leecher, has: a.txt", "leecher, has: b.txt", "22:30: criteria.gets.expect[0].has: "),
        ("node: tracker, state", "node: traker, state", "15:20: criteria.starts.expect.node: "),
        ("exit: 1", "exit: one", "criteria.gets.any_of.exit: "),
        ("leecher-1, has", "leecher-9, has", "criteria.gets.partial.expect.node: "),
        (
            "      seed: {share: a.txt}\n",
            "      seed: {share: b.txt}\n",
            "8:21: experiments.download.nodes.seed.share: ",
        ),
        ("    nodes:\n", "    expect: none\n    nodes:\n", "an experiment has no `expect`"),
        ("  download:\n", "  other: {}\n  download:\n", "no criterion uses `other`"),
        ("about: A small rubric.", "about: [1]", "about: expected a text"),
        ("name: small", "name: Sm all", "`Sm all` is no key"),
        ("name: small", "name: small\nreference: nowhere", "there is no "),
        ("    expect: {node: tracker, state: running, at: 5s}", "    expect: []", "the list is empty"),
        ("    expect: {node: tracker, state: running, at: 5s}", "    expect: 5", "criteria.starts.expect"),
        ("title: starts", "title: starts\n    credit: some", "`some` is no way to give points"),
        ("title: gets it", "title: gets it\n    credit: share", "`share` has no `enough`, `any_of` or `partial`"),
        ("title: starts", "title: starts\n    enough: 0", "`0` is no number of nodes"),
        (SMALL[SMALL.index("  starts:\n") :], "  {}\n", "criteria"),
        ("criteria:", "criteria: [", ""),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in SMALL
    with pytest.raises(ScenarioError) as caught:
        load_rubric(write(tmp_path, SMALL.replace(old, new, 1)))
    assert told in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = SMALL.replace("a.txt, within", "b.txt, within").replace("node: tracker, state", "node: traker, state")
    with pytest.raises(ScenarioError) as caught:
        load_rubric(write(tmp_path, text))
    assert len(caught.value.problems) == 3


def test_a_rubric_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    assert find_rubric("small", tmp_path) == path
    assert find_rubric(str(path), rubrics_folder()) == path
    for name in ("nowhere", "./nowhere.yaml"):
        with pytest.raises(UsageError, match="there is no") as caught:
            find_rubric(name, rubrics_folder())
        assert "simple_torrent" in caught.value.hint


def test_our_own_rubric_has_a_hundred_points() -> None:
    rubric = load_rubric(find_rubric("simple_torrent", rubrics_folder()))
    assert (rubric.points, len(rubric.criteria)) == (100, 21)
    assert all(criterion.did and criterion.expected and criterion.hint for criterion in rubric.criteria)
    assert rubric.reference is not None


def test_editors_have_a_schema_of_what_is_read() -> None:
    stored = json.loads((ROOT / "docs" / "rubric.schema.json").read_text("utf-8"))
    assert stored == schema(), "python -m torrentnet.lab.tools.grade.models > docs/rubric.schema.json"
    for text in (SMALL, (rubrics_folder() / "simple_torrent.yaml").read_text("utf-8")):
        document = {str(key): value for key, value in yaml.safe_load(text).items()}
        document["criteria"] = {str(key): value for key, value in document["criteria"].items()}
        jsonschema.validate(document, stored)


def test_the_page_about_grading_has_a_rubric_that_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "grading.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert load_rubric(write(tmp_path, example)).points == 10


def test_the_page_about_grading_lists_our_own_rubric() -> None:
    page = (ROOT / "docs" / "grading.md").read_text("utf-8")
    rubric = load_rubric(find_rubric("simple_torrent", rubrics_folder()))
    rows = [f"| {one.key} | {one.title} | {one.points:g} | {one.expected} |" for one in rubric.criteria]
    assert "\n".join(rows) in page


def test_every_expectation_of_our_own_rubric_is_judged() -> None:
    rubric = load_rubric(find_rubric("simple_torrent", rubrics_folder()))
    assert {one.name: one.plan.left_out for one in rubric.experiments} == {one.name: () for one in rubric.experiments}
