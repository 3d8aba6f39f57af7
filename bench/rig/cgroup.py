"""The resources that a container has used.

The kernel counts them for the container's control group (cgroups(7), versions 1 and 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.section import CannotMeasureError

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
_NANOSECOND = 1e-9
_MICROSECOND = 1e-6


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """One reading of the resources that a control group has used.

    The CPU time is that of all processes that the group has had, including those that have ended.
    """

    cpu_s: float
    peak_bytes: int
    """The most memory that was charged at once, pages of files that it touched first included; 0 where the kernel
    does not keep it (version 2 before Linux 5.19)."""
    throttled_s: float
    """Time in which the group was not allowed to run, by its own limit; 0 without one."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The control group of a process.

    Read the control group before its last process ends: the group disappears then.
    """

    cpu: Path
    memory: Path
    unified: bool

    @classmethod
    def of(cls, pid: int, proc: Path = PROC, root: Path = ROOT) -> ControlGroup:
        """Return the control group of a process.

        ``pid`` is the process's number on this machine. Raises CannotMeasureError if the process is not visible.
        """
        try:
            places = parse_membership((proc / str(pid) / "cgroup").read_text(encoding="ascii"))
        except OSError as error:
            raise CannotMeasureError(
                f"processes of containers are not to be seen in {proc} ({error.strerror}): "
                "run the benchmark on the Engine's own machine, not in a virtual one's client"
            ) from error
        if "cpuacct" in places:
            group = cls(root / "cpuacct" / places["cpuacct"], root / "memory" / places.get("memory", ""), False)
        else:
            group = cls(root / places.get("", ""), root / places.get("", ""), True)
        if not group.cpu.is_dir():
            raise CannotMeasureError(f"there is no {group.cpu}: the containers' control groups are not mounted here")
        return group

    def read(self) -> ResourceUsage:
        """What has been used until now. Raises CannotMeasure when the group is gone."""
        try:
            return self._read_unified() if self.unified else self._read_first()
        except OSError as error:
            raise CannotMeasureError(f"a container ended before its usage was read: {error.filename}") from error

    def _read_first(self) -> ResourceUsage:
        cpu = int((self.cpu / "cpuacct.usage").read_text(encoding="ascii")) * _NANOSECOND
        peak = int((self.memory / "memory.max_usage_in_bytes").read_text(encoding="ascii"))
        controller = Path(str(self.cpu).replace(f"{ROOT}/cpuacct", f"{ROOT}/cpu", 1)) / "cpu.stat"
        throttled = _fields(controller).get("throttled_time", 0) * _NANOSECOND if controller.exists() else 0.0
        return ResourceUsage(cpu, peak, throttled)

    def _read_unified(self) -> ResourceUsage:
        fields = _fields(self.cpu / "cpu.stat")
        peak = self.memory / "memory.peak"
        return ResourceUsage(
            fields["usage_usec"] * _MICROSECOND,
            int(peak.read_text(encoding="ascii")) if peak.exists() else 0,
            fields.get("throttled_usec", 0) * _MICROSECOND,
        )

    def processes(self) -> list[int]:
        """The processes in the group now."""
        try:
            return [int(word) for word in (self.cpu / "cgroup.procs").read_text(encoding="ascii").split()]
        except OSError:
            return []


def parse_membership(text: str) -> dict[str, str]:
    """Parse ``/proc/<pid>/cgroup``; return the relative path for each controller.

    The path of version 2 is under the empty name.
    """
    places = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            places[controller] = path.lstrip("/")
    return places


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def anonymous_memory(pids: list[int], proc: Path = PROC) -> int:
    """Return the bytes of memory that these processes have for themselves.

    The result is the sum of ``RssAnon``, which contains no pages of files, mapped or cached.
    """
    total = 0
    for pid in pids:
        try:
            status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        total += parse_anonymous_memory(status)
    return total


def parse_anonymous_memory(status: str) -> int:
    """Return ``RssAnon`` of a ``/proc/<pid>/status`` in bytes.

    The result is 0 for a process that has no such memory any more.
    """
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
