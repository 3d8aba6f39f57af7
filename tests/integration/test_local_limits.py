"""Limits of a node of the engine ``local`` that need control groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import LOCAL, need
from tests.integration.test_containment import FORKS
from torrentnet.lab.api import open_lab
from torrentnet.lab.engines.local.supervisor import cgroups
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENARIO = """\
about: A lab whose nodes are limited.
files: {a.bin: {size: 64KiB}}
limits: {processes: 40, cpus: 0.25}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.bin}
expect: none
"""
BUSY = """
import time
end = time.monotonic() + 1
while time.monotonic() < end:
    pass
print(time.process_time())
"""


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    need(LOCAL)
    for name, value in LOCAL.settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "limited.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    yield path
    assert not LOCAL.left_over(tmp_path / "home")


def test_processes_and_processor_time_of_a_node_are_limited(scenario: Path) -> None:
    places = cgroups.find_places()
    if len(places) != len(cgroups.KEYS):
        pytest.skip("this user may not create control groups here")
    with open_lab(scenario, engine="local", home=scenario.parent / "home") as lab:
        groups = [group for node in ("tracker", "seeder") for group in cgroups.groups(places, lab.project, node)]
        assert all(group.is_dir() for group in groups)
        made, reason = lab.exec("seeder", "python3", "-c", FORKS).stdout.split(" ", 1)
        assert int(made) < 40
        assert "unavailable" in reason
        # A busy machine gives less; without the limit an idle one gives a second.
        assert float(lab.exec("seeder", "python3", "-c", BUSY).stdout) < 0.6
        # The other node, and the node itself, have their own share.
        assert lab.exec("tracker", "true").status == 0
        assert str(lab.state("seeder")) == "running"
    assert not any(group.exists() for group in groups)


def test_a_limit_that_needs_control_groups_is_refused_without(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "find_places", lambda: {cgroups.PIDS: "/sys/fs/cgroup"})
    with (
        pytest.raises(EngineError) as refused,
        open_lab(scenario, engine="local", home=scenario.parent / "home"),
    ):
        pass
    assert refused.value.message == (
        "the engine `local` cannot keep the limit `cpus` of tracker: this user may not create control groups with `cpu`"
        " here"
    )
    assert refused.value.hint == (
        "remove the limit, or use Docker; run as root, or begin the command with `systemd-run --user --scope`"
    )
