"""The records that a lab keeps in its home directory."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.stub import StubEngine
from torrentnet.lab import home as home_module
from torrentnet.lab.engines.owner import Owner
from torrentnet.lab.errors import LabError
from torrentnet.lab.home import (
    ActiveFault,
    RunningLab,
    forget_running_lab,
    is_finished,
    make_lab_directory,
    orphaned_projects,
    read_faults,
    read_running_lab,
    remove_lab_directory,
    replace_running_lab,
    take_down,
    take_down_running_lab,
    write_faults,
    write_running_lab,
)
from torrentnet.lab.paths import state_folder

if TYPE_CHECKING:
    from pathlib import Path

UP = RunningLab("torrentnet-x-abc123", "x", "docker", "/record")


def test_the_running_lab_is_read_back_until_it_is_forgotten(tmp_path: Path) -> None:
    assert read_running_lab(tmp_path) is None
    write_running_lab(tmp_path, UP)
    assert read_running_lab(tmp_path) == UP
    assert is_finished(state_folder(tmp_path), UP.project)
    assert not is_finished(state_folder(tmp_path), "torrentnet-other-000000")
    forget_running_lab(tmp_path, "torrentnet-other-000000")
    assert read_running_lab(tmp_path) == UP
    forget_running_lab(tmp_path, UP.project)
    assert not list(tmp_path.iterdir())


def test_the_second_of_two_labs_replaces_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destroyed: list[str] = []
    engine = StubEngine()
    monkeypatch.setattr(engine, "adopt", lambda project, **_: destroyed.append(project))
    monkeypatch.setattr(home_module, "make_engine", lambda _: engine)
    first, second = UP, replace(UP, project="torrentnet-x-def456")
    replace_running_lab(tmp_path, first, lambda _: None)
    replace_running_lab(tmp_path, first, lambda _: None)
    assert (read_running_lab(tmp_path), destroyed) == (first, [])
    replace_running_lab(tmp_path, second, lambda _: None)
    assert (read_running_lab(tmp_path), destroyed) == (second, [first.project])


def test_a_copy_of_a_home_has_no_part_in_its_lab(tmp_path: Path) -> None:
    home, copy, moved = tmp_path / "home", tmp_path / "copy", tmp_path / "moved"
    write_running_lab(home, replace(UP, home=str(home)))
    shutil.copytree(home, copy)
    assert read_running_lab(copy) is None
    link = tmp_path / "link"
    link.symlink_to(home)
    assert read_running_lab(link) == read_running_lab(home) == replace(UP, home=str(home))
    # A directory that was moved takes its lab along.
    home.rename(moved)
    assert read_running_lab(moved) == replace(UP, home=str(home))


@pytest.mark.parametrize("field", ["scenario", "engine", "record"])
def test_a_lab_file_that_would_act_on_a_terminal_is_damaged(tmp_path: Path, field: str) -> None:
    write_running_lab(tmp_path, replace(UP, **{field: "x\x1b[2J"}))
    with pytest.raises(LabError, match="is damaged"):
        read_running_lab(tmp_path)


def test_a_home_that_cannot_be_read_may_be_the_original(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.symlink_to(original)
    write_running_lab(tmp_path, replace(UP, home=str(original)))
    with pytest.raises(LabError, match=r"x was brought up in .*original, which cannot be read") as unreadable:
        read_running_lab(tmp_path)
    assert unreadable.value.hint.startswith("if this directory is a copy of that one, remove ")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"project": "p"}', "null"])
def test_a_damaged_lab_file_may_be_that_of_any_lab(tmp_path: Path, text: str) -> None:
    folder = state_folder(tmp_path)
    folder.mkdir()
    (folder / "lab.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"lab\.json is damaged, so that it is unknown which lab is up") as damaged:
        read_running_lab(tmp_path)
    assert "remove the file" in damaged.value.hint
    assert is_finished(folder, UP.project)


def test_a_lab_file_that_cannot_be_read_may_be_that_of_any_lab(tmp_path: Path) -> None:
    folder = state_folder(tmp_path)
    (folder / "lab.json").mkdir(parents=True)
    with pytest.raises(LabError, match=r"lab\.json cannot be read: Is a directory") as unread:
        read_running_lab(tmp_path)
    assert "TORRENTNET_HOME" in unread.value.hint
    assert is_finished(folder, UP.project)


@pytest.mark.parametrize(
    ("stranger", "message"),
    [
        ({"machine": "another", "boot": "another"}, "was brought up on another machine, or this one has a new name"),
        ({"user": os.getuid() + 1}, f"belongs to user id {os.getuid() + 1}"),
    ],
)
def test_a_strangers_lab_in_a_shared_home_is_not_taken_down(
    tmp_path: Path, stranger: dict[str, object], message: str
) -> None:
    lab = replace(UP, engine="local", owner=str(replace(Owner.myself(), **stranger)))  # type: ignore[arg-type]
    write_running_lab(tmp_path, lab)
    with pytest.raises(LabError, match=message) as refused:
        take_down_running_lab(tmp_path, "local", lambda _: None)
    assert "TORRENTNET_HOME" in refused.value.hint
    with pytest.raises(LabError, match=message):
        take_down(StubEngine(), tmp_path, lab)
    assert read_running_lab(tmp_path) == lab


def test_a_lab_of_another_machine_says_what_to_do(tmp_path: Path) -> None:
    stranger = replace(Owner.myself(), machine="another", boot="another")
    with pytest.raises(LabError) as refused:
        take_down(StubEngine(), tmp_path, replace(UP, engine="docker", owner=str(stranger)))
    assert refused.value.hint == (
        "`make down` there takes it down; or set TORRENTNET_HOME to a directory of your own; where this machine has a"
        f" new name, remove {state_folder(tmp_path) / 'lab.json'}, and its containers:"
        f" `docker rm -fv $(docker ps -aq --filter label=org.torrentnet.lab={UP.project})`"
    )


def test_a_machine_with_a_new_name_takes_its_lab_down(tmp_path: Path) -> None:
    renamed = replace(Owner.myself(), machine="another")
    engine = StubEngine()
    take_down(engine, tmp_path, replace(UP, owner=str(renamed)))
    assert engine.done == ["destroy"]


def test_labs_of_dead_owners_are_orphans(tmp_path: Path) -> None:
    me = Owner.myself()
    dead = replace(me, started="1")
    owners: dict[str, object] = {
        "mine": me,
        "dead": dead,
        UP.project: dead,
        "another-users": replace(dead, user=me.user + 1),
        "another-machines": replace(dead, machine="another"),
        "odd": "boot:1:2",
        "empty": "",
    }
    for name, owner in owners.items():
        folder = make_lab_directory(tmp_path, name)
        (folder / "files").mkdir()
        (folder / "owner").write_text(str(owner), encoding="ascii")
    write_running_lab(tmp_path, UP)
    labs = state_folder(tmp_path) / "labs"
    (labs / "without").mkdir()
    (labs / "unreadable" / "owner").mkdir(parents=True)
    # Labs that are being made.
    making = [labs / f".{str(owner).replace(':', '+')}+torrentnet-x-abcdef" for owner in (me, dead)]
    for path in making:
        path.mkdir()
    assert list(orphaned_projects(tmp_path)) == ["dead"]
    assert [path.exists() for path in making] == [True, False]
    (state_folder(tmp_path) / "lab.json").write_text("damaged", encoding="utf-8")
    assert list(orphaned_projects(tmp_path)) == []


def test_concurrent_labs_do_not_remove_each_others_directory(tmp_path: Path) -> None:
    def make_and_remove(number: int) -> None:
        for _ in range(50):
            made = make_lab_directory(tmp_path, f"lab-{number}")
            assert (made / "owner").is_file()
            assert list(orphaned_projects(tmp_path)) == []
            remove_lab_directory(tmp_path, f"lab-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make_and_remove, range(4)))
    assert not list(tmp_path.iterdir())


def test_faults_are_read_back_until_the_lab_is_removed(tmp_path: Path) -> None:
    make_lab_directory(tmp_path, UP.project)
    assert read_faults(tmp_path, UP.project) == []
    faults = [
        ActiveFault("to leecher: rate 8mbit", 12.5, True),
        ActiveFault("isolate x", 13.0, False),
    ]
    write_faults(tmp_path, UP.project, faults)
    assert read_faults(tmp_path, UP.project) == faults
    remove_lab_directory(tmp_path, UP.project)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[1]", '{"text": 1}', '[{"text": "x"}]'])
def test_a_damaged_faults_file_does_not_mean_no_faults(tmp_path: Path, text: str) -> None:
    folder = make_lab_directory(tmp_path, UP.project)
    (folder / "faults.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match="what is in force in the network is unknown"):
        read_faults(tmp_path, UP.project)


def test_a_lab_of_another_engine_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StubEngine, "identity", "here")
    lab = replace(UP, owner=str(Owner.myself()), engine_id="there")
    write_running_lab(tmp_path, lab)
    with pytest.raises(LabError, match="was brought up in another Docker Engine, where it may still run") as refused:
        take_down(StubEngine(), tmp_path, lab)
    assert "DOCKER_CONTEXT" in refused.value.hint
    assert read_running_lab(tmp_path) == lab
    write_running_lab(tmp_path, replace(lab, engine_id="here"))
    take_down(StubEngine(), tmp_path, read_running_lab(tmp_path))
    assert read_running_lab(tmp_path) is None


def test_a_lab_that_has_come_up_since_stays(tmp_path: Path) -> None:
    earlier, later = UP, replace(UP, project="torrentnet-y-def456", engine="local")
    write_running_lab(tmp_path, later)
    engine = StubEngine()
    take_down(engine, tmp_path, earlier)
    assert read_running_lab(tmp_path) == later


@pytest.mark.parametrize("project", ["../../victim", "..", "a/b", "/victim", "", "a\x1b[2Jb", "x" * 200])
def test_a_project_that_is_not_a_name_removes_nothing(tmp_path: Path, project: str) -> None:
    home, victim = tmp_path / "home", tmp_path / "home" / "victim"
    victim.mkdir(parents=True)
    write_running_lab(home, RunningLab(project, "x", "docker", "/record"))
    with pytest.raises(LabError, match="is not the name of a lab"):
        remove_lab_directory(home, project)
    assert victim.is_dir()
    assert read_running_lab(home) is not None


def test_a_lab_whose_state_may_not_be_read_counts_as_running(tmp_path: Path) -> None:
    write_running_lab(tmp_path, UP)
    folder = state_folder(tmp_path)
    folder.chmod(0o000)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        assert is_finished(folder, "torrentnet-other-000000")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(0o700)
