"""What a lab leaves in its home while it is up, and that the user's own lines survive it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.home import lab_store

if TYPE_CHECKING:
    from pathlib import Path

UP = lab_store.RunningLab("torrentnet-x-abc123", "x", "docker", "/record")
BLOCK = (
    "# >>> torrentnet: written by `make up`, removed by `make down`\n"
    "COMPOSE_PROJECT_NAME=torrentnet-x-abc123\n"
    "COMPOSE_FILE='docker-compose.yml:runs/x/compose.yaml'\n"
    "# <<< torrentnet\n"
)


def set_env(home: Path, project: str = UP.project) -> None:
    lab_store.write_env_block(home, project, [home / "docker-compose.yml", home / "runs/x/compose.yaml"])


def test_env_comes_and_goes(tmp_path: Path) -> None:
    set_env(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == BLOCK
    assert lab_store.read_env_project(tmp_path) == UP.project
    lab_store.remove_env_block(tmp_path, UP.project)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("own", ["A=1\n", "A=1", "# mine\n\nA=1\nB='x y'\n"])
def test_the_users_lines_stay(tmp_path: Path, own: str) -> None:
    env = tmp_path / ".env"
    env.write_text(own, encoding="utf-8")
    env.chmod(0o600)
    set_env(tmp_path)
    assert env.read_text(encoding="utf-8") == own.rstrip("\n") + "\n" + BLOCK
    assert env.stat().st_mode & 0o777 == 0o600
    with env.open("a", encoding="utf-8") as file:
        file.write("C=added later\n")
    lab_store.remove_env_block(tmp_path)
    assert env.read_text(encoding="utf-8") == own.rstrip("\n") + "\nC=added later\n"


def test_a_second_lab_replaces_the_block(tmp_path: Path) -> None:
    set_env(tmp_path, "torrentnet-old-000000")
    set_env(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == BLOCK


def test_another_labs_block_stays(tmp_path: Path) -> None:
    set_env(tmp_path)
    lab_store.remove_env_block(tmp_path, "torrentnet-other-000000")
    assert (tmp_path / ".env").read_text(encoding="utf-8") == BLOCK


def test_a_block_without_an_end_takes_nothing_of_the_users(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(BLOCK.replace("# <<< torrentnet\n", "A=1\n"), encoding="utf-8")
    lab_store.remove_env_block(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == "A=1\n"


def test_a_lab_elsewhere_is_named_by_its_whole_path(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    lab_store.write_env_block(home, "p", [tmp_path / "docker-compose.yml", home / "runs/compose.yaml"])
    text = (home / ".env").read_text(encoding="utf-8")
    assert f"COMPOSE_FILE='{tmp_path}/docker-compose.yml:runs/compose.yaml'\n" in text


def test_up_is_what_was_written(tmp_path: Path) -> None:
    assert lab_store.read_running_lab(tmp_path) is None
    lab_store.write_running_lab(tmp_path, UP)
    assert lab_store.read_running_lab(tmp_path) == UP
    assert lab_store.is_finished(tmp_path, UP.project)
    assert not lab_store.is_finished(tmp_path, "torrentnet-other-000000")
    lab_store.forget_running_lab(tmp_path, "torrentnet-other-000000")
    assert lab_store.read_running_lab(tmp_path) == UP
    lab_store.forget_running_lab(tmp_path, UP.project)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"project": "p"}', "null"])
def test_a_file_that_is_not_ours_is_no_lab(tmp_path: Path, text: str) -> None:
    (tmp_path / ".torrentnet").mkdir()
    (tmp_path / ".torrentnet/lab.json").write_text(text, encoding="utf-8")
    assert lab_store.read_running_lab(tmp_path) is None


def test_directories_of_dead_labs_are_found(tmp_path: Path) -> None:
    mine = lab_store.make_lab_directory(tmp_path, "mine")
    (mine / "files").mkdir()
    dead = lab_store.make_lab_directory(tmp_path, "dead")
    (dead / "owner").write_text("another boot:1:2", encoding="ascii")
    kept = lab_store.make_lab_directory(tmp_path, UP.project)
    (kept / "owner").write_text("another boot:1:2", encoding="ascii")
    lab_store.write_running_lab(tmp_path, UP)
    (tmp_path / ".torrentnet/labs/odd").mkdir()
    long_ago = time.time() - 60
    os.utime(tmp_path / ".torrentnet/labs/odd", (long_ago, long_ago))
    # Of a lab that is just being made.
    (tmp_path / ".torrentnet/labs/new").mkdir()
    assert list(lab_store.orphaned_projects(tmp_path)) == ["dead", "odd"]
    for name in ("mine", "dead", "odd", "new", UP.project):
        lab_store.remove_lab_directory(tmp_path, name)
    lab_store.forget_running_lab(tmp_path, UP.project)
    assert not list(tmp_path.iterdir())


def test_labs_that_come_and_go_at_once_do_not_take_away_each_others_folder(tmp_path: Path) -> None:
    def come_and_go(number: int) -> None:
        for _ in range(50):
            made = lab_store.make_lab_directory(tmp_path, f"lab-{number}")
            assert (made / "owner").is_file()
            assert list(lab_store.orphaned_projects(tmp_path)) == []
            lab_store.remove_lab_directory(tmp_path, f"lab-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert not list(tmp_path.iterdir())


def test_the_home_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORRENTNET_HOME", raising=False)
    assert lab_store.lab_home() == lab_store.checkout_root()
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    assert lab_store.lab_home() == tmp_path


def test_what_the_network_suffers_from_is_kept_with_the_lab(tmp_path: Path) -> None:
    lab_store.make_lab_directory(tmp_path, UP.project)
    assert lab_store.read_faults(tmp_path, UP.project) == []
    faults = [
        lab_store.ActiveFault("to leecher: rate 8mbit", 12.5, True),
        lab_store.ActiveFault("isolate x", 13.0, False),
    ]
    lab_store.write_faults(tmp_path, UP.project, faults)
    assert lab_store.read_faults(tmp_path, UP.project) == faults
    lab_store.remove_lab_directory(tmp_path, UP.project)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[1]", "{}", '[{"text": "x"}]'])
def test_a_broken_list_of_faults_is_none(tmp_path: Path, text: str) -> None:
    folder = lab_store.make_lab_directory(tmp_path, UP.project)
    (folder / "faults.json").write_text(text, encoding="utf-8")
    assert lab_store.read_faults(tmp_path, UP.project) == []
