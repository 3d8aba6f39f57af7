from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab.scenario.scenario_files import HEAD, SCENARIOS
from torrentnet.lab.errors import UsageError
from torrentnet.lab.scenario import catalog
from torrentnet.lab.scenario.catalog import find_plan, list_scenarios
from torrentnet.lab.scenario.load import load_plan

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan import Plan

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
    (tmp_path / "bad.yaml").write_text("about: Works not.\nsed: 7\ntime_limit: 60\n")
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
    """The names of the files that are read, as they are read."""
    names: list[str] = []

    def load(path: Path, *args: Any, **more: Any) -> Plan:
        names.append(path.name)
        return load_plan(path, *args, **more)

    monkeypatch.setattr(catalog, "load_plan", load)
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
