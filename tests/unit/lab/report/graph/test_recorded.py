"""A moment of a run is drawn from its record, whatever of it is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab.report.records import killed_seed_rows, result, row, write_record
from torrentnet.lab.errors import UsageError
from torrentnet.lab.report.graph.mermaid import mermaid
from torrentnet.lab.report.graph.recorded import record_graph
from torrentnet.lab.report.graph.svg import svg

if TYPE_CHECKING:
    from pathlib import Path

CUT: dict[str, Any] = {
    "text": "partition seeder-2 | leecher",
    "kind": "partition",
    "name": "cable-cut",
    "nodes": ["seeder-2", "leecher"],
    "pairs": [["seeder-2", "leecher"], ["leecher", "seeder-2"]],
    "qualities": {"cut": True},
    "began": 1.2,
}
PLAN = {
    "nodes": [
        {"name": "tracker", "group": "tracker", "role": "tracker", "arguments": ["--timeout", "2s"]},
        {"name": "seeder-1", "group": "seeder", "role": "share", "file": "a.txt", "program": "torrentnet"},
        {"name": "seeder-2", "group": "seeder", "role": "share", "file": "a.txt", "program": "aria2"},
        {"name": "leecher", "group": "leecher", "role": "get", "file": "a.txt", "foreign": {"name": "theirs"}},
    ],
    "files": [{"name": "a.txt", "size": 1024, "pieces": 4}],
    "links": [{"text": "to leecher, loss 5%", "pairs": [["seeder-1", "leecher"]], "qualities": {"loss": 0.05}}],
}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The record of a run with a link, a kill, and a cut of half a second."""
    rows = [
        *killed_seed_rows(),
        row(1.2, "lab", "begun", **{key: CUT[key] for key in ("text", "kind", "nodes", "began")}),
        row(1.3, "lab", "applied", **CUT, applied=1.3),
        row(1.7, "lab", "applied", **(CUT | {"text": f"end of {CUT['text']}", "kind": "heal", "began": 1.7})),
    ]
    written = write_record(tmp_path / "r", sorted(rows, key=lambda one: one["time"]), result())
    (written / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    return written


def states(record: Path, at: float) -> dict[str, str]:
    return {node.name: node.state for node in record_graph(record, at).nodes}


def test_each_node_is_in_its_state_of_that_moment(record: Path) -> None:
    assert states(record, 0.0) == {"tracker": "", "seeder-1": "seed", "seeder-2": "seed", "leecher": "waiting"}
    assert states(record, 1.1) == {"tracker": "", "seeder-1": "gone", "seeder-2": "seed", "leecher": "get 50 %"}
    assert states(record, 2.1)["leecher"] == "seed"


def test_a_run_without_a_moment_is_drawn_as_planned(record: Path) -> None:
    found = record_graph(record)
    assert {node.state for node in found.nodes} == {""}
    assert [(link.text, link.pairs) for link in found.links if link.kind == "impaired"] == [
        ("loss 5%", (("seeder-1", "leecher"),))
    ]
    assert [node.task for node in found.nodes] == [
        *("tracker", "shares a.txt", "shares a.txt (aria2)", "gets a.txt (theirs)")
    ]
    assert found.files == (("a.txt", "1KiB"),)


@pytest.mark.parametrize(("at", "cut"), [(1.1, False), (1.25, True), (1.69, True), (1.8, False)])
def test_a_cut_is_there_from_its_beginning_to_its_end(record: Path, at: float, cut: bool) -> None:
    found = record_graph(record, at)
    assert [link.pairs for link in found.links if link.kind == "cut"] == [(("seeder-2", "leecher"),)] * cut
    assert found.notes == ("in force: cable-cut: partition seeder-2 | leecher",) * cut
    assert ('|"cut"|' in mermaid(found)) == cut
    assert ('class="cut"' in svg(found)) == cut


def test_a_moment_after_the_end_is_refused(record: Path) -> None:
    with pytest.raises(UsageError) as caught:
        record_graph(record, 60.0)
    assert str(caught.value) == "the run ended at 2.5s, before 60s"


def test_the_record_of_an_older_version_says_what_is_not_drawn(tmp_path: Path) -> None:
    old = {"text": "partition seeder-2 | leecher", "nodes": ["seeder-2", "leecher"], "began": 1.2}
    rows = [*killed_seed_rows(), row(1.2, "lab", "begun", **old), row(1.3, "lab", "applied", **old, applied=1.3)]
    found = record_graph(write_record(tmp_path / "r", sorted(rows, key=lambda one: one["time"]), result()), 2.2)
    assert found.notes == (
        "in force: partition seeder-2 | leecher (not drawn: the record does not say between which nodes)",
    )


def test_the_record_of_a_killed_lab_is_drawn(tmp_path: Path) -> None:
    logs = dict.fromkeys(("leecher", "seeder-1", "seeder-2", "tracker"), "")
    found = record_graph(write_record(tmp_path / "r", logs=logs), 1.5)
    assert len(found.nodes) == 4


@pytest.mark.parametrize(
    "links", ["x", [5], [{}], [{"pairs": [["a"]], "qualities": {}, "text": ""}], [{"pairs": [], "qualities": {"x": 1}}]]
)
def test_links_of_another_form_are_left_out(record: Path, links: object) -> None:
    (record / "plan.json").write_text(json.dumps(PLAN | {"links": links}), encoding="utf-8")
    assert not [link for link in record_graph(record).links if link.kind == "impaired"]
