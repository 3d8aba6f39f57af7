"""``torrentnet init`` and the files that it writes.

The written scenario can be run, and existing files stay as they are.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.unit.lab import golden
from torrentnet.lab.cli.init_command import SCENARIO, init, write_new
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import files_root
from torrentnet.lab.scenario.load import load_plan


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def test_init_writes_a_valid_scenario_and_says_what_is_next(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(Path(), as_json=False) == 0
    golden.check("init.txt", capsys.readouterr().out)
    assert names(empty) == [".gitignore", SCENARIO, "scenarios/scenario.schema.json", "test_first_scenario.py"]
    plan = load_plan(empty / SCENARIO)
    assert [node.name for node in plan.nodes] == ["tracker", "seeder-1", "seeder-2", "leecher"]
    assert (empty / SCENARIO).read_text().startswith("# yaml-language-server: $schema=scenario.schema.json\n")
    schema = (empty / "scenarios/scenario.schema.json").read_bytes()
    assert schema == (files_root() / "docs/scenario.schema.json").read_bytes()
    test = ast.parse((empty / "test_first_scenario.py").read_text())
    assert f"torrentnet('{SCENARIO}')" in ast.unparse(test)


def test_init_in_another_directory_makes_it(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(Path("my lab"), as_json=False) == 0
    assert "  cd 'my lab'\n" in capsys.readouterr().out
    assert (empty / "my lab" / SCENARIO).is_file()


def test_init_answers_in_json(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(Path("lab"), as_json=True) == 0
    assert sorted(json.loads(capsys.readouterr().out)["files"]) == names(empty / "lab")


def test_init_over_existing_files_overwrites_nothing(empty: Path) -> None:
    (empty / ".gitignore").write_text("mine\n")
    with pytest.raises(UsageError) as caught:
        init(Path(), as_json=False)
    golden.check("init_over_files.txt", f"{caught.value.message}\n    {caught.value.hint}\n")
    assert names(empty) == [".gitignore"]
    assert (empty / ".gitignore").read_text() == "mine\n"


def test_a_failed_init_leaves_nothing(empty: Path) -> None:
    with pytest.raises(UsageError) as caught:
        # A file where the second one needs a directory: as with a disk that is full, or may not be written to.
        write_new(Path("lab"), {"a/b": "text", "a/b/c": "text"})
    golden.check("init_not_writable.txt", f"{caught.value.message}\n    {caught.value.hint}\n")
    assert not list(empty.iterdir())
