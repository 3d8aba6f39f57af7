"""Where nodes' control groups can be, on machines of every kind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local.supervisor.cgroups import CPU, PIDS, TRIAL, candidates, remove_trials

if TYPE_CHECKING:
    from pathlib import Path

BOTH = frozenset({PIDS, CPU})
VERSION_1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
"""
VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_1_has_a_directory_a_controller() -> None:
    own = "8:pids:/user.slice\n4:memory:/elsewhere\n2:cpu,cpuacct:/\n0::/\n"
    assert candidates(VERSION_1, own) == [
        ("/sys/fs/cgroup/cpu,cpuacct", frozenset({CPU})),
        ("/sys/fs/cgroup/pids/user.slice", frozenset({PIDS})),
    ]


def test_version_2_has_the_ancestors_too() -> None:
    own = "0::/user.slice/user-1000.slice/app.scope\n"
    assert candidates(VERSION_2, own) == [
        ("/sys/fs/cgroup/user.slice/user-1000.slice/app.scope", BOTH),
        ("/sys/fs/cgroup/user.slice/user-1000.slice", BOTH),
        ("/sys/fs/cgroup/user.slice", BOTH),
        ("/sys/fs/cgroup", BOTH),
    ]


def test_a_container_sees_its_own_group_at_the_mount() -> None:
    mount = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
    assert candidates(mount, "0::/docker/abc/inner\n")[0] == ("/sys/fs/cgroup/inner", BOTH)
    assert candidates(mount, "0::/docker/abc\n") == [("/sys/fs/cgroup", BOTH)]


def test_a_machine_without_groups_has_none() -> None:
    assert candidates("23 1 8:1 / / rw - ext4 /dev/root rw\n", "") == []


def test_a_trial_that_was_killed_leaves_no_group_for_long(tmp_path: Path) -> None:
    names = [f"{TRIAL}{2**31 - 1}.ab", f"{TRIAL}{os.getpid()}.cd", "torrentnet-quick-87d167.tracker"]
    for name in names:
        (tmp_path / name).mkdir()
    remove_trials(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
