"""The limits of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.limits import DISK, LOG, MEMORY, TRACKER_DISK, NodeLimits

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
files: {a.bin: {size: 8MiB}, b.bin: {size: 40MiB, as: a.bin}, c.bin: {source: ./c.bin}}
%s
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.bin}
  other: {share: c.bin}
  leecher: {get: a.bin%s}
  more: {get: c.bin}
"""


def limits(tmp_path: Path, top: str = "", leecher: str = "") -> dict[str, NodeLimits]:
    (tmp_path / "c.bin").write_bytes(bytes(1000))
    path = tmp_path / "trial.yaml"
    path.write_text(TEXT % (top, leecher), encoding="utf-8")
    return {node.name: node.limits for node in load_plan(path).nodes}


def test_defaults_leave_room_for_the_file_that_a_node_gets(tmp_path: Path) -> None:
    found = limits(tmp_path)
    assert found["tracker"] == NodeLimits(disk=TRACKER_DISK)
    assert found["seeder"] == NodeLimits()
    # The larger of the two files that are shared under this name.
    assert found["leecher"] == NodeLimits(disk=DISK + 80 * 2**20, stored=40 * 2**20)
    assert found["more"].stored == 1000


def test_a_nodes_own_limits_come_before_the_scenarios(tmp_path: Path) -> None:
    top = "limits: {memory: 64MiB, cpus: 0.5, log: 1MiB}"
    found = limits(tmp_path, top, ", limits: {memory: 1GiB, processes: 32, open_files: 100}")
    assert (found["seeder"].memory, found["seeder"].cpus, found["seeder"].log) == (2**26, 0.5, 2**20)
    assert found["seeder"].explicit == ("cpus", "log", "memory")
    assert (found["leecher"].memory, found["leecher"].cpus) == (2**30, 0.5)
    assert (found["leecher"].processes, found["leecher"].open_files) == (32, 100)


def test_disk_of_a_leecher_is_its_limit(tmp_path: Path) -> None:
    found = limits(tmp_path, "limits: {disk: 1GiB}", ", disk: 4MiB")
    assert (found["seeder"].disk, found["leecher"].disk) == (2**30, 4 * 2**20)
    assert found["leecher"].explicit == ("disk",)
    assert (found["leecher"].memory, found["leecher"].log) == (MEMORY, LOG)
