"""Control groups of the nodes, which limit processes and processor time.

Each node has a group of its own, below the group that this process is in or, with cgroup v2, below one of that group's
ancestors, where this user may create groups. See cgroups(7).

Tested by tests/unit/lab/engines/local/supervisor/test_cgroups.py.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PIDS, CPU = "pids", "cpu"
KEYS: Final = {PIDS: ("pids.max",), CPU: ("cpu.max", "cpu.cfs_quota_us")}
"""Files by one of which a group has that controller: of cgroup v2 and, where it differs, of v1."""
TRIAL: Final = "torrentnet-trial."
"""Begins the name of a trial's group; the id of its process follows."""
PROCESSES: Final = "cgroup.procs"
PERIOD: Final = 100_000
"""Microseconds; a group gets its share of each such time."""
MOUNTS: Final = Path("/proc/self/mountinfo")
MEMBERSHIP: Final = Path("/proc/self/cgroup")
REMOVAL_TIME: Final = 5.0
REMOVAL_INTERVAL: Final = 0.01


def candidates(mounts: str, membership: str) -> list[tuple[str, frozenset[str]]]:
    """Return directories in which nodes' groups may be, the best first.

    Each comes with the controllers that may be used there. ``mounts`` and ``membership`` are the texts of
    /proc/self/mountinfo and /proc/self/cgroup.
    """
    own = [line.split(":", 2) for line in membership.splitlines() if line.count(":") >= 2]
    version_1: list[tuple[str, frozenset[str]]] = []
    version_2: list[tuple[str, frozenset[str]]] = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind, options = before.split(), after.split()[:1], after.split()[-1:]
        if kind == ["cgroup"]:
            for _, names, path in own:
                if used := {PIDS, CPU}.intersection(names.split(","), *(one.split(",") for one in options)):
                    version_1.append((_below(fields[4], fields[3], path), frozenset(used)))
        elif kind == ["cgroup2"]:
            path = next((path for _, names, path in own if not names), "/")
            directory = Path(_below(fields[4], fields[3], path))
            # A group with processes, such as this process's own, has no children with controllers.
            version_2 += [
                (str(one), frozenset({PIDS, CPU}))
                for one in (directory, *directory.parents)
                if one.is_relative_to(fields[4])
            ]
    return version_2 + version_1


def _below(mount: str, root: str, path: str) -> str:
    """Return the directory of a group, by the group that is mounted there."""
    inside = path[len(root) :] if root != "/" and path.startswith(root) else path
    return os.path.normpath(f"{mount}/{inside}")


def find_places() -> dict[str, str]:
    """Return the directory in which nodes' groups can be, by controller.

    This is tried with a group and a process of the trial's own. A controller that nobody may use here is missing.
    """
    places: dict[str, str] = {}
    try:
        found = candidates(MOUNTS.read_text(encoding="utf-8"), MEMBERSHIP.read_text(encoding="utf-8"))
    except OSError:
        return places
    for directory, controllers in found:
        for name in _usable(directory, controllers - places.keys()):
            places[name] = directory
        if len(places) == len(KEYS):
            break
    return places


def _usable(directory: str, controllers: Iterable[str]) -> list[str]:
    remove_trials(directory)
    group = Path(directory, f"{TRIAL}{os.getpid()}.{secrets.token_hex(4)}")
    try:
        group.mkdir()
    except OSError:
        return []
    try:
        found = [name for name in controllers if any((group / key).exists() for key in KEYS[name])]
        if found:
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
                (group / PROCESSES).write_text(str(process.pid), encoding="ascii")
        return found
    except OSError:
        return []
    finally:
        remove([group])


def remove_trials(directory: str) -> None:
    """Remove the groups of trials whose process was killed."""
    for group in Path(directory).glob(f"{TRIAL}*"):
        pid = group.name.removeprefix(TRIAL).partition(".")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                group.rmdir()


def groups(places: Mapping[str, str], project: str, node: str) -> list[Path]:
    """Return the directories of a node's groups."""
    return [Path(directory, f"{project}.{node}") for directory in sorted(set(places.values()))]


def create(places: Mapping[str, str], project: str, node: str, processes: int, cpus: float) -> list[str]:
    """Create a node's groups, and return the files that take a process in.

    Raises OSError.
    """
    made = groups(places, project, node)
    for group in made:
        group.mkdir(exist_ok=True)
    if PIDS in places:
        Path(places[PIDS], made[0].name, "pids.max").write_text(str(processes), encoding="ascii")
    if CPU in places:
        group = Path(places[CPU], made[0].name)
        quota = max(1000, round(cpus * PERIOD))
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {PERIOD}", encoding="ascii")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD), encoding="ascii")
            (group / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
    return [str(group / PROCESSES) for group in made]


def enter(files: Sequence[str]) -> None:
    """Move this process into the groups with these files. Raises OSError."""
    for name in files:
        Path(name).write_text("0", encoding="ascii")


def remove(directories: Iterable[Path]) -> None:
    """Remove groups; end what is left in them."""
    for group in directories:
        deadline = time.monotonic() + REMOVAL_TIME
        while group.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                for pid in (group / PROCESSES).read_text(encoding="ascii").split():
                    # 0 is a process that cannot be seen from here.
                    if int(pid) > 0:
                        os.kill(int(pid), signal.SIGKILL)
            try:
                group.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(REMOVAL_INTERVAL)
