"""Which labs are orphans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from tests.unit.lab.users import as_user, needs_root
from torrentnet.lab.engines.docker import cleanup, labels
from torrentnet.lab.engines.docker.cleanup import LabRemains, is_orphan
from torrentnet.lab.engines.owner import Owner
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import EngineError
from torrentnet.lab.home import RunningLab, is_finished, write_running_lab
from torrentnet.lab.paths import state_folder

if TYPE_CHECKING:
    from pathlib import Path

ME = Owner.myself()
DEAD = replace(ME, started="1")
REBOOTED = replace(ME, boot="an-earlier-boot")
PROJECT = "torrentnet-x-abc123"


def orphan(owner: object = DEAD, *, mode: Mode = Mode.RUN, home: Path | None = None, running: bool = True) -> bool:
    marks = {**labels.owner_labels(mode, home), labels.OWNER: str(owner)}
    return is_orphan(LabRemains(PROJECT, marks, alive=running), finished=is_finished)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("mode", Mode)
def test_a_lab_of_a_living_owner_is_no_orphan(tmp_path: Path, mode: Mode, running: bool) -> None:
    assert not orphan(ME, mode=mode, home=tmp_path, running=running)


@pytest.mark.parametrize("running", [True, False])
def test_a_run_does_not_outlive_its_owner(running: bool) -> None:
    assert orphan(running=running)


def test_a_finished_up_outlives_its_owner(tmp_path: Path) -> None:
    assert orphan(mode=Mode.UP, home=tmp_path)
    write_running_lab(tmp_path, RunningLab(PROJECT, "x", "docker", "/record"))
    assert not orphan(mode=Mode.UP, home=tmp_path)
    write_running_lab(tmp_path, RunningLab("torrentnet-other-000000", "x", "docker", "/record"))
    assert orphan(mode=Mode.UP, home=tmp_path)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "owner",
    [
        replace(DEAD, user=ME.user + 1),
        replace(DEAD, machine="another"),
        replace(DEAD, namespace="1"),
        "boot-1:7:99",
        "nonsense",
        "",
    ],
)
def test_a_lab_of_another_or_an_unknown_owner_is_left_alone(
    tmp_path: Path, owner: object, mode: Mode, running: bool
) -> None:
    assert not orphan(owner, mode=mode, home=tmp_path, running=running)


def test_after_a_restart_of_the_machine_nothing_runs() -> None:
    assert orphan(REBOOTED, running=False)
    # A copy of this machine shares its engine.
    assert not orphan(REBOOTED, running=True)


def test_a_lab_whose_home_is_not_mounted_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    marks = {**labels.owner_labels(Mode.UP, home), labels.OWNER: str(DEAD)}
    remains = LabRemains(PROJECT, marks, alive=True)
    assert is_orphan(remains, finished=is_finished)
    home.rename(tmp_path / "unmounted")
    assert not is_orphan(remains, finished=is_finished)
    home.mkdir()
    # The directory on which it would be mounted.
    assert not is_orphan(remains, finished=is_finished)


@needs_root
@pytest.mark.parametrize("folder", ["home", "state"])
def test_a_lab_whose_state_is_out_of_reach_is_left_alone(open_path: Path, folder: str) -> None:
    # A checkout of root's, which others use.
    dead = replace(DEAD, user=34567)
    marks = {**labels.owner_labels(Mode.UP, open_path), labels.OWNER: str(dead)}
    write_running_lab(open_path, RunningLab("torrentnet-other-000000", "x", "docker", "/record"))
    remains = LabRemains(PROJECT, marks, alive=True)
    with as_user(34567):
        assert is_orphan(remains, finished=is_finished)
    (open_path if folder == "home" else state_folder(open_path)).chmod(0o700)
    with as_user(34567):
        assert not is_orphan(remains, finished=is_finished)


class Api:
    """An engine without a lab, that does not answer for a while."""

    def __init__(self, silent: int) -> None:
        self.silent = silent

    def containers(self, **_: object) -> list[object]:
        self.silent -= 1
        if self.silent >= 0:
            raise requests.ConnectionError
        return []

    def networks(self, **_: object) -> list[object]:
        return []

    def volumes(self, **_: object) -> dict[str, object]:
        return {"Volumes": None}


class Client:
    def __init__(self, silent: int) -> None:
        self.api = Api(silent)


def test_an_engine_that_is_restarted_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cleanup, "RESTART_INTERVAL", 0.0)
    cleanup.remove_patiently(Client(3), PROJECT, "unix:///d.sock")  # type: ignore[arg-type]
    assert caplog.messages == ["no Docker Engine answers at unix:///d.sock; the lab is removed as soon as one does"]


def test_an_engine_that_does_not_come_back_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "RESTART_TIME", 0.0)
    monkeypatch.setattr(cleanup, "RESTART_INTERVAL", 0.01)
    with pytest.raises(EngineError) as caught:
        cleanup.remove_patiently(Client(10**9), PROJECT, "unix:///d.sock")  # type: ignore[arg-type]
    error = caught.value
    assert error.message == f"the lab {PROJECT} could not be removed: no Docker Engine answers at unix:///d.sock"
    assert error.hint == "start that engine; then `make down`, or the next lab, removes what is left"


class StuckApi:
    """An engine that never answers when it is to remove a dead lab's container."""

    timeout = 60

    def containers(self, **_: object) -> list[dict[str, object]]:
        marks = {**labels.owner_labels(Mode.RUN), labels.OWNER: str(DEAD), labels.LAB: PROJECT}
        return [{"Id": "1", "Labels": marks, "State": "paused"}]

    def networks(self, **_: object) -> list[object]:
        return []

    def volumes(self, **_: object) -> dict[str, list[object]]:
        return {"Volumes": []}

    def remove_container(self, *_: object, **__: object) -> None:
        raise requests.ReadTimeout


class StuckClient:
    api = StuckApi()


def test_a_dead_lab_that_cannot_be_removed_stops_nobody() -> None:
    (left,) = cleanup.collect_orphans(StuckClient(), is_finished)  # type: ignore[arg-type]
    assert left.project == PROJECT
    assert left.problem == "Docker did not answer within 10 s (a paused container that is being checked?)"
    assert StuckClient.api.timeout == 60
