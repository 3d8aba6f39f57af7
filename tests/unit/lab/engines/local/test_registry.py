"""Which labs are left over, what is removed of them and what never is; and addresses that no two labs share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.engines.local.supervisor.test_journal import LAB
from torrentnet.lab.engines import choose_engine
from torrentnet.lab.engines.local import addresses, diagnosis, protocol, registry
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.engines.local.supervisor import bridge
from torrentnet.lab.engines.owner import Owner, boot_id
from torrentnet.lab.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAD = Owner(boot_id(), 1, "1")
"""Process 1 lives, but did not start then."""
OTHER_BOOT = Owner("another-boot", os.getpid(), "1")


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = Path(f"/tmp/tu-{os.getpid()}")
    monkeypatch.setenv(registry.ENVIRONMENT, str(place))
    yield registry.base_directory()
    subprocess.run(["rm", "-rf", str(place)], check=True)


def make(base: Path, home: Path, owner: Owner, keeper: Owner | None, *, released: bool = False) -> Path:
    """A lab's directory, as a lab makes it."""
    folder = home / ".torrentnet" / "labs" / LAB.project
    data = folder / "nodes" / "tracker"
    data.mkdir(parents=True)
    (data / "journal.sqlite").touch()
    place = registry.new_directory(base, LAB.project)
    lab = replace(LAB, owner=str(owner), home=str(home), nodes=(replace(LAB.nodes[0], data=str(data)),))
    (place / protocol.LAB_FILE).write_text(lab.dumps(), encoding="utf-8")
    if keeper is not None:
        (place / protocol.SUPERVISOR_FILE).write_text(str(keeper), encoding="ascii")
    if released:
        (place / protocol.RELEASED_FILE).touch()
    return place


@pytest.mark.parametrize(
    ("owner", "keeper", "released", "swept"),
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
def test_only_labs_of_the_dead_are_swept(
    base: Path, tmp_path: Path, owner: Owner, keeper: Owner | None, released: bool, swept: bool
) -> None:
    place = make(base, tmp_path, owner, keeper, released=released)
    assert registry.collect_orphans() == ([LAB.project] if swept else [])
    assert place.exists() is not swept
    assert (tmp_path / ".torrentnet").exists() is not swept


def test_a_directory_that_was_never_finished_is_swept(base: Path) -> None:
    place = registry.new_directory(base, LAB.project)
    assert registry.collect_orphans() == []
    assert not place.exists()


def test_nothing_is_removed_that_is_not_where_we_make_it(base: Path, tmp_path: Path) -> None:
    place = make(base, tmp_path, DEAD, None)
    precious = tmp_path / "precious"
    precious.mkdir()
    lab = SupervisedLab.loads((place / protocol.LAB_FILE).read_text(encoding="utf-8"))
    for path in (precious, place / ".." / ".." / "x", tmp_path / ".torrentnet" / "labs" / LAB.project / ".." / ".."):
        wrong = replace(lab, nodes=(replace(lab.nodes[0], data=str(path)),))
        assert not registry.is_removable(path, registry.LabEntry(place, wrong), tmp_path)
    (place / protocol.LAB_FILE).write_text(
        replace(lab, nodes=(replace(lab.nodes[0], data=str(precious)),)).dumps(), encoding="utf-8"
    )
    registry.collect_orphans()
    assert precious.is_dir()


def test_two_labs_with_the_same_end_of_a_name_have_two_directories(base: Path) -> None:
    assert registry.new_directory(base, "torrentnet-a-123456") != registry.new_directory(base, "torrentnet-b-123456")


def test_a_keeper_that_does_not_end_is_ended(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "END_TIMEOUT", 0.2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stuck:
        keeper = Owner(boot_id(), stuck.pid, registry_started(stuck.pid))
        make(base, tmp_path, DEAD, keeper)
        assert registry.collect_orphans() == [LAB.project]
        assert stuck.wait(10) == -9


def registry_started(pid: int) -> str:
    """When a process started."""
    from torrentnet.lab.engines.owner import process_start_time

    return process_start_time(pid) or ""


def test_the_place_must_be_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(f"/tmp/tv-{os.getpid()}")
    monkeypatch.setenv(registry.ENVIRONMENT, str(place))
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
    monkeypatch.setenv(registry.ENVIRONMENT, "/tmp/" + "x" * 60)
    with pytest.raises(EngineError, match="is too long a path for sockets"):
        registry.base_directory()


def test_no_two_labs_get_the_same_loopback_addresses() -> None:
    first, held = addresses.claim_loopback_subnet(3)
    second, more = addresses.claim_loopback_subnet(300)
    try:
        assert not first.overlaps(second)
        assert (first.prefixlen, second.prefixlen) == (24, 23)
        assert second.overlaps(addresses.LOOPBACK)
    finally:
        for one in (*held, *more):
            one.close()
    again, held = addresses.claim_loopback_subnet(3)
    for one in held:
        one.close()
    assert again == first


def test_a_node_keeps_its_hardware_address() -> None:
    assert bridge.mac_address("198.18.0.17") == "02:54:c6:12:00:11"


def test_a_way_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(diagnosis.NETWORK_VARIABLE, "carrier-pigeons")
    with pytest.raises(EngineError, match="TORRENTNET_LOCAL_NETWORK=carrier-pigeons is no way to connect nodes"):
        diagnosis.find_network_mode(Path("/"))


def test_the_choice_of_an_engine(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.delenv("TORRENTNET_ENGINE", raising=False)
    reason = str(choose_engine("auto"))
    assert reason.startswith("engine: local (")
    assert "docker" in reason.lower()
    assert str(choose_engine("docker")) == "engine: docker (`--engine docker`)"
    monkeypatch.setenv("TORRENTNET_ENGINE", "docker")
    assert str(choose_engine("auto")) == "engine: docker (TORRENTNET_ENGINE=docker)"
    assert str(choose_engine("local")) == "engine: local (`--engine local`)"
    monkeypatch.setenv("TORRENTNET_ENGINE", "podman")
    with pytest.raises(UsageError, match="there is no engine `podman`"):
        choose_engine("auto")
