"""Which labs are orphans, and what is removed of them."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.engines.local.test_protocol import LAB
from torrentnet.lab import paths
from torrentnet.lab.engines.local import protocol, registry
from torrentnet.lab.engines.owner import Owner, directory_id
from torrentnet.lab.engines.types import RemovedLab
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAD = replace(Owner.myself(), pid=1, started="1")
"""Process 1 is alive, but did not start then."""
OTHER_BOOT = replace(Owner.myself(), boot="another-boot")
HIDDEN = replace(Owner.myself(), namespace="1")
"""In a container that shares the registry."""
OTHER_MACHINE = replace(DEAD, machine="another")


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
        (HIDDEN, DEAD, False, False),
        (OTHER_MACHINE, None, False, False),
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


@pytest.mark.parametrize("text", ["", "boot:1:2", "nonsense"])
@pytest.mark.parametrize("locked", [True, False])
def test_a_supervisor_that_is_not_named_holds_its_lock(base: Path, tmp_path: Path, text: str, locked: bool) -> None:
    place = make(base, tmp_path, DEAD, DEAD, released=True)
    with (place / protocol.SUPERVISOR_FILE).open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        if locked:
            fcntl.flock(file, fcntl.LOCK_EX)
        assert bool(registry.collect_orphans()) is not locked
    assert place.exists() is locked


@pytest.mark.parametrize("file", [protocol.LAB_FILE, protocol.SUPERVISOR_FILE])
def test_a_lab_whose_files_cannot_be_read_is_left_alone(base: Path, tmp_path: Path, file: str) -> None:
    place = make(base, tmp_path, DEAD, Owner.myself(), released=True)
    # A directory cannot be read as a file, whoever tries.
    (place / file).unlink()
    (place / file).mkdir()
    assert registry.collect_orphans() == []
    assert place.exists()


@pytest.mark.parametrize(
    ("recorded", "same_home", "removed"),
    [(True, True, False), (False, True, True), (False, False, False)],
)
def test_a_released_lab_without_record_is_removed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: bool, same_home: bool, removed: bool
) -> None:
    monkeypatch.setattr(registry, "END_TIMEOUT", 0.2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as supervisor:
        place = make(base, tmp_path, DEAD, Owner.of(supervisor.pid), released=True)
        lab = protocol.SupervisedLab.loads((place / protocol.LAB_FILE).read_text(encoding="utf-8"))
        state = tmp_path / ".torrentnet"
        lab = replace(lab, state=str(state), state_parent=directory_id(tmp_path if same_home else base))
        (place / protocol.LAB_FILE).write_text(lab.dumps(), encoding="utf-8")
        assert bool(registry.collect_orphans(lambda _state, _project: recorded)) is removed
        assert place.exists() is not removed
        supervisor.kill()


def test_a_lab_outlives_a_sweep_by_a_process_without_descriptors(base: Path, tmp_path: Path) -> None:
    place = make(base, tmp_path, DEAD, Owner.myself(), released=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (base / registry.LOCK).open("w") as last:
        lowest = os.dup(last.fileno())
        os.close(lowest)
        # Room for the lock and for the listing, not for the lab's files.
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
        try:
            assert registry.collect_orphans() == []
        except OSError as error:
            assert error.errno == errno.EMFILE  # noqa: PT017
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert place.exists()


def test_an_unfinished_directory_is_removed(base: Path) -> None:
    place = registry.new_directory(base, LAB.project)
    assert registry.collect_orphans() == []
    assert not place.exists()


def test_projects_with_the_same_suffix_get_two_directories(base: Path) -> None:
    assert registry.new_directory(base, "torrentnet-a-123456") != registry.new_directory(base, "torrentnet-b-123456")


def test_a_supervisor_that_does_not_end_is_killed(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "END_TIMEOUT", 0.2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stuck:
        supervisor = Owner.of(stuck.pid)
        make(base, tmp_path, DEAD, supervisor)
        assert registry.collect_orphans() == [RemovedLab(LAB.project, tmp_path)]
        assert stuck.wait(60) == -9


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
