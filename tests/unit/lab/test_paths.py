"""The locations of the lab's files and of its state.

The lab runs in a checkout, or is installed from a wheel.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from torrentnet.lab import paths

ROOT = Path(__file__).resolve().parents[3]


def test_a_checkout_keeps_files_labs_and_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORRENTNET_HOME", raising=False)
    assert paths.checkout() == paths.files_root() == paths.lab_home() == ROOT
    assert paths.scenarios_folder() == ROOT / "scenarios"
    assert paths.state_folder(Path("/home")) == Path("/home/.torrentnet")
    assert paths.machine_folder() == ROOT / ".torrentnet"


def test_an_installed_lab_belongs_to_the_current_directory(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.checkout() is None
    assert paths.files_root() == installed
    assert paths.lab_home() == tmp_path


def test_each_home_of_an_installed_lab_has_its_own_state(installed: Path, tmp_path: Path) -> None:
    del installed
    one, other = (paths.state_folder(Path(home)) for home in ("/a/project", "/b/project"))
    assert one.parent == other.parent == paths.machine_folder() == tmp_path / "state" / "torrentnet"
    assert one.name.startswith("project-") and other.name.startswith("project-") and one != other


@pytest.mark.parametrize("value", ["", "relative"])
def test_a_state_directory_that_is_not_absolute_is_ignored(
    installed: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    del installed
    monkeypatch.setenv("XDG_STATE_HOME", value)
    assert paths.machine_folder() == Path.home() / ".local/state/torrentnet"


def test_the_home_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    assert paths.lab_home() == tmp_path
