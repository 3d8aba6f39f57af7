"""A complete file is found under any name, and nothing hostile is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.unit.adapters.observer.observed import CONTENT, SHA256
from torrentnet.adapters.observer import file_search
from torrentnet.adapters.observer.file_search import FileSearch, HashedFile, find_files, hash_files
from torrentnet.adapters.observer.settings import WantedFile
from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    from pathlib import Path

WANTED = WantedFile("myfile.txt", len(CONTENT), SHA256)
WRONG = CONTENT.upper()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    node = tmp_path / "node"
    (node / "deep" / "er").mkdir(parents=True)
    return node


def search(folder: Path) -> FileSearch:
    return FileSearch(folder, WANTED, MACHINE)


def test_the_file_is_found_under_any_name(folder: Path) -> None:
    looked = search(folder)
    assert looked.look() is None
    (folder / "deep" / "er" / "copy of it").write_bytes(CONTENT)
    assert looked.look(last=True) == "deep/er/copy of it"


def test_a_file_of_the_right_size_only_is_not_it(folder: Path) -> None:
    (folder / "a").write_bytes(WRONG)
    looked = search(folder)
    assert looked.look() is None
    (folder / "a").write_bytes(CONTENT)
    assert looked.look(last=True) == "a"


def test_an_unchanged_file_is_hashed_only_now_and_then(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a").write_bytes(WRONG)
    hashed: list[str] = []
    original = file_search._hash

    def count(name: str, folder: int, size: int) -> str:
        hashed.append(name)
        return original(name, folder, size)

    monkeypatch.setattr(file_search, "_hash", count)
    monkeypatch.setattr(file_search, "SHARE_OF_TIME", 1e9)
    looked = search(folder)
    for _ in range(5):
        looked.look()
    assert hashed == ["a"]


def test_links_and_special_files_are_not_opened(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(CONTENT)
    (folder / "link").symlink_to(outside / "a")
    (folder / "folder").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    assert find_files(folder, len(CONTENT)) == []
    assert search(folder).look(last=True) is None
    assert hash_files(folder, len(CONTENT)) == []


def test_the_folder_itself_may_not_be_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "a").write_bytes(CONTENT)
    (tmp_path / "link").symlink_to(folder)
    assert find_files(tmp_path / "link", len(CONTENT)) == []


def test_a_search_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_search, "MAX_ENTRIES", 5)
    monkeypatch.setattr(file_search, "MAX_DEPTH", 1)
    (folder / "deep" / "er" / "a").write_bytes(CONTENT)
    assert find_files(folder, len(CONTENT)) == []
    for number in range(9):
        (folder / str(number)).write_bytes(CONTENT)
    assert len(find_files(folder, len(CONTENT))) <= 5


def test_a_file_that_cannot_be_read_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a").write_bytes(CONTENT)

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(file_search, "BLOCK", 4)
    assert hash_files(folder, len(CONTENT)) == [HashedFile("a", SHA256)]
    monkeypatch.setattr(os, "read", refuse)
    assert search(folder).look(last=True) is None
