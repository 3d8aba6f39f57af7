"""Which labs are orphans, and what is removed of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.engines.local.test_protocol import LAB
from torrentnet.lab import paths
from torrentnet.lab.engines.local import protocol, registry
from torrentnet.lab.engines.owner import Owner, boot_id, process_start_time
from torrentnet.lab.engines.types import RemovedLab
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAD = Owner(boot_id(), 1, "1")
"""Process 1 is alive, but did not start then."""
OTHER_BOOT = Owner("another-boot", os.getpid(), "1")


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = Path(f"/tmp/tu-{os.getpid()}")
    monkeypatch.setenv(paths.RUNTIME_VARIABLE, str(place))
    yield registry.base_directory()
    subprocess.run(["rm", "-rf", str(place)], check=True)


def make(base: Path, home: Path, owner: Owner, supervisor: Owner | None, *, released: bool = False) -> Path:
    """A lab's directory, as a lab creates it."""
    folder = home / ".torrentnet" / "labs" / LAB.project
    data = folder / "nodes" / "tracker"
    data.mkdir(parents=True)
    (data / "journal.sqlite").touch()
    place = registry.new_directory(base, LAB.project)
    lab = replace(LAB, owner=str(owner), home=str(home), nodes=(replace(LAB.nodes[0], data=str(data)),))
    (place / protocol.LAB_FILE).write_text(lab.dumps(), encoding="utf-8")
    if supervisor is not None:
        (place / protocol.SUPERVISOR_FILE).write_text(str(supervisor), encoding="ascii")
    if released:
        (place / protocol.RELEASED_FILE).touch()
    return place


@pytest.mark.parametrize(
    ("owner", "supervisor", "released", "removed"),
    [
        (Owner.myself(), None, False, False),
        (Owner.myself(), DEAD, False, False),
        (DEAD, None, False, True),
        (DEAD, DEAD, False, True),
        (DEAD, DEAD, True, True),
        (OTHER_BOOT, OTHER_BOOT, True, True),
        (DEAD, Owner.myself(), True, False),
    ],
)
def test_only_labs_of_dead_owners_are_removed(
    base: Path, tmp_path: Path, owner: Owner, supervisor: Owner | None, released: bool, removed: bool
) -> None:
    place = make(base, tmp_path, owner, supervisor, released=released)
    assert registry.collect_orphans() == ([RemovedLab(LAB.project, tmp_path)] if removed else [])
    assert place.exists() is not removed
    # The lab's home, and whatever path the lab's file names, is not the registry's business.
    assert (tmp_path / ".torrentnet" / "labs" / LAB.project / "nodes" / "tracker" / "journal.sqlite").exists()


def test_an_unfinished_directory_is_removed(base: Path) -> None:
    place = registry.new_directory(base, LAB.project)
    assert registry.collect_orphans() == []
    assert not place.exists()


def test_projects_with_the_same_suffix_get_two_directories(base: Path) -> None:
    assert registry.new_directory(base, "torrentnet-a-123456") != registry.new_directory(base, "torrentnet-b-123456")


def test_a_supervisor_that_does_not_end_is_killed(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "END_TIMEOUT", 0.2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stuck:
        supervisor = Owner(boot_id(), stuck.pid, process_start_time(stuck.pid) or "")
        make(base, tmp_path, DEAD, supervisor)
        assert registry.collect_orphans() == [RemovedLab(LAB.project, tmp_path)]
        assert stuck.wait(10) == -9


def test_only_this_user_may_write_in_the_base_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(f"/tmp/tv-{os.getpid()}")
    monkeypatch.setenv(paths.RUNTIME_VARIABLE, str(place))
    place.symlink_to(tmp_path)
    try:
        with pytest.raises(EngineError, match="is not a directory that only this user may write in"):
            registry.base_directory()
    finally:
        place.unlink()
    place.mkdir(0o777)
    place.chmod(0o777)
    try:
        with pytest.raises(EngineError, match="is not a directory that only this user may write in"):
            registry.base_directory()
    finally:
        place.rmdir()
    monkeypatch.setenv(paths.RUNTIME_VARIABLE, "/tmp/" + "x" * 60)
    with pytest.raises(EngineError, match="is too long a path for sockets"):
        registry.base_directory()
