"""Which labs are orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.cleanup import LabRemains, is_orphan

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.engines.owner import Owner

BOOT, HERE = "boot-1", "pid:[1]"


def orphan(
    *,
    owner: str = f"{BOOT}:7:99",
    mode: str = "run",
    namespace: str = HERE,
    running: bool = True,
    alive: bool = False,
    finished: bool = False,
) -> bool:
    def is_finished(home: Path, project: str) -> bool:
        assert (str(home), project) == ("/home/a", "p")
        return finished

    def is_alive(who: Owner) -> bool:
        assert (who.boot, who.pid, who.started) == (BOOT, 7, "99")
        return alive

    found = {labels.OWNER: owner, labels.MODE: mode, labels.PID_NAMESPACE: namespace, labels.STATE: "/home/a"}
    remains = LabRemains("p", found, alive=running)
    return is_orphan(remains, boot=BOOT, namespace=HERE, alive=is_alive, finished=is_finished)


def test_a_lab_of_a_living_owner_is_no_orphan() -> None:
    assert not orphan(alive=True)
    assert not orphan(alive=True, mode="up")
    assert not orphan(alive=True, running=False)


def test_a_run_does_not_outlive_its_owner() -> None:
    assert orphan()
    assert orphan(running=False)


def test_a_finished_up_outlives_its_owner() -> None:
    assert not orphan(mode="up", finished=True)
    assert orphan(mode="up", finished=False)


@pytest.mark.parametrize("mode", ["run", "up"])
@pytest.mark.parametrize(
    ("owner", "namespace"), [("boot-0:7:99", HERE), (f"{BOOT}:7:99", "pid:[2]"), ("nonsense", HERE), ("", HERE)]
)
def test_a_running_lab_of_an_unknown_owner_is_left_alone(owner: str, namespace: str, mode: str) -> None:
    # Another machine may share the engine; after this machine's restart nothing runs.
    assert not orphan(owner=owner, namespace=namespace, mode=mode, running=True)
    assert orphan(owner=owner, namespace=namespace, mode=mode, running=False)
