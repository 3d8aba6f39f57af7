"""What a figure is worth nothing without: the machine, the kernel, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when something was measured."""

    when: str
    processor: str
    cores: int
    memory: str
    kernel: str
    congestion_control: str
    engine: str
    commit: str
    python: str
    """The interpreter that runs the benchmark itself, not the programs in the image."""

    def line(self) -> str:
        """All of it for a person, in one line."""
        return (
            f"{self.when}, {self.processor}, {self.cores} cores, {self.memory}, Linux {self.kernel}, "
            f"{self.engine}, TCP congestion control {self.congestion_control}, commit {self.commit}"
        )

    def fields(self) -> dict[str, str | int]:
        """For JSON."""
        return asdict(self)


def inspect_machine(engine: str, root: Path) -> Machine:
    """Look at this machine; ``engine`` is the container engine as it names itself."""
    return Machine(
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=parse_processor(_read("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        memory=parse_memory(_read("/proc/meminfo")),
        kernel=platform.release(),
        congestion_control=_read("/proc/sys/net/ipv4/tcp_congestion_control").strip() or UNKNOWN,
        engine=engine,
        commit=_commit(root),
        python=platform.python_version(),
    )


def parse_processor(cpuinfo: str) -> str:
    """The first model name in ``/proc/cpuinfo``; empty where there is none (Arm)."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return " ".join(value.split())
    return ""


def parse_memory(meminfo: str) -> str:
    """All memory, from ``/proc/meminfo``."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 1048576:.0f} GiB"
    return UNKNOWN


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _commit(root: Path) -> str:
    """The checkout's commit, with a plus where files differ from it."""
    try:
        commit = _git(root, "rev-parse", "--short=10", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return commit + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
