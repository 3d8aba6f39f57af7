"""The records that a lab keeps in its home directory while it exists."""

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


def test_the_running_lab_is_read_back_until_it_is_forgotten(tmp_path: Path) -> None:
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
def test_an_unreadable_lab_file_is_no_lab(tmp_path: Path, text: str) -> None:
    (tmp_path / ".torrentnet").mkdir()
    (tmp_path / ".torrentnet/lab.json").write_text(text, encoding="utf-8")
    assert lab_store.read_running_lab(tmp_path) is None


def test_labs_of_dead_owners_are_orphans(tmp_path: Path) -> None:
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
    # A lab that is being created has no owner file yet.
    (tmp_path / ".torrentnet/labs/new").mkdir()
    assert list(lab_store.orphaned_projects(tmp_path)) == ["dead", "odd"]
    for name in ("mine", "dead", "odd", "new", UP.project):
        lab_store.remove_lab_directory(tmp_path, name)
    lab_store.forget_running_lab(tmp_path, UP.project)
    assert not list(tmp_path.iterdir())


def test_concurrent_labs_do_not_remove_each_others_directory(tmp_path: Path) -> None:
    def make_and_remove(number: int) -> None:
        for _ in range(50):
            made = lab_store.make_lab_directory(tmp_path, f"lab-{number}")
            assert (made / "owner").is_file()
            assert list(lab_store.orphaned_projects(tmp_path)) == []
            lab_store.remove_lab_directory(tmp_path, f"lab-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make_and_remove, range(4)))
    assert not list(tmp_path.iterdir())


def test_faults_are_read_back_until_the_lab_is_removed(tmp_path: Path) -> None:
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
def test_an_unreadable_faults_file_means_no_faults(tmp_path: Path, text: str) -> None:
    folder = lab_store.make_lab_directory(tmp_path, UP.project)
    (folder / "faults.json").write_text(text, encoding="utf-8")
    assert lab_store.read_faults(tmp_path, UP.project) == []
