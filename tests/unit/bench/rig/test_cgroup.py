"""Readings of control groups of both versions.

They are read from trees of files as the kernel lays them out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.rig.cgroup import ControlGroup, ResourceUsage, anonymous_memory, parse_membership
from bench.section import CannotMeasureError

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


def test_version_1_has_a_directory_for_each_controller(tmp_path: Path) -> None:
    write(tmp_path / "proc/42/cgroup", "4:memory:/docker/ab\n2:cpuacct,cpu:/docker/ab\n0::/\n")
    write(tmp_path / "cg/cpuacct/docker/ab/cpuacct.usage", "2500000000\n")
    write(tmp_path / "cg/cpuacct/docker/ab/cgroup.procs", "42\n43\n")
    write(tmp_path / "cg/memory/docker/ab/memory.max_usage_in_bytes", "1048576\n")
    group = ControlGroup.of(42, tmp_path / "proc", tmp_path / "cg")
    assert group.read() == ResourceUsage(2.5, 1048576, 0.0)
    assert group.processes() == [42, 43]


def test_version_2_has_one_directory(tmp_path: Path) -> None:
    write(tmp_path / "proc/42/cgroup", "0::/system.slice/docker-ab.scope\n")
    folder = tmp_path / "cg/system.slice/docker-ab.scope"
    write(folder / "cpu.stat", "usage_usec 1500000\nuser_usec 1\nthrottled_usec 250000\n")
    write(folder / "memory.peak", "4096\n")
    group = ControlGroup.of(42, tmp_path / "proc", tmp_path / "cg")
    assert group.read() == ResourceUsage(1.5, 4096, 0.25)
    (folder / "memory.peak").unlink()
    assert group.read().peak_bytes == 0


def test_a_group_that_is_gone_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "proc/42/cgroup", "0::/docker/ab\n")
    write(tmp_path / "cg/docker/ab/cpu.stat", "usage_usec 1\n")
    group = ControlGroup.of(42, tmp_path / "proc", tmp_path / "cg")
    (tmp_path / "cg/docker/ab/cpu.stat").unlink()
    with pytest.raises(CannotMeasureError, match="ended before"):
        group.read()
    assert group.processes() == []


def test_containers_on_another_machine_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasureError, match="Engine's own machine"):
        ControlGroup.of(42, tmp_path, tmp_path)
    write(tmp_path / "42/cgroup", "0::/docker/ab\n")
    with pytest.raises(CannotMeasureError, match="not mounted here"):
        ControlGroup.of(42, tmp_path, tmp_path)


def test_membership_has_a_path_for_each_controller() -> None:
    assert parse_membership("5:cpu,cpuacct:/a\n0::/b/c\n") == {"cpu": "a", "cpuacct": "a", "": "b/c"}


def test_own_memory_leaves_out_pages_of_files(tmp_path: Path) -> None:
    write(tmp_path / "1/status", "VmHWM:\t  900000 kB\nRssAnon:\t    1000 kB\nRssFile:\t  800000 kB\n")
    write(tmp_path / "2/status", "Name:\tkernel thread\n")
    assert anonymous_memory([1, 2, 3], tmp_path) == 1000 * 1024


def test_own_memory_of_this_very_process_is_plausible() -> None:
    assert 1 << 20 < anonymous_memory([os.getpid()]) < 1 << 33
