"""The process that made a lab, and whether it is still alive.

Everything that a lab creates carries its owner: ``<boot id>:<pid>:<start time>``. A process id alone is used again by a
later process; together with the process's start time (clock ticks since boot, field 22 of ``/proc/<pid>/stat``, see
proc(5)) and the id of the boot it identifies one process for good.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torrentnet.lab.engines.child_process import command_output

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
NO_BOOT_ID: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, identified so that no later one is mistaken for it."""

    boot: str
    pid: int
    started: str
    """Clock ticks since boot on Linux; elsewhere the time that ``ps`` prints, without blanks."""

    def __str__(self) -> str:
        return f"{self.boot}:{self.pid}:{self.started}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Return the owner that ``str`` wrote; None for any other text."""
        boot, _, rest = text.partition(":")
        pid, _, started = rest.partition(":")
        if not boot or not started or not (pid.isascii() and pid.isdigit()) or ":" in started:
            return None
        return cls(boot, int(pid), started)

    @classmethod
    def myself(cls) -> Owner:
        """Return this process."""
        pid = os.getpid()
        return cls(boot_id(), pid, process_start_time(pid) or "0")


def boot_id() -> str:
    """Return the kernel's id of this boot; ``unknown`` where it has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return NO_BOOT_ID


def pid_namespace() -> str:
    """Return the name of this process's pid namespace.

    The process ids that this process sees are valid in that namespace.
    """
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return NO_BOOT_ID


def parse_start_time(stat: str) -> str | None:
    """Return the start time in the text of ``/proc/<pid>/stat``; None for a zombie.

    The command's name is in parentheses and may itself contain blanks and parentheses, so fields are counted from the
    last parenthesis.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in {"Z", "X"}:
        return None
    return fields[19]


def process_start_time(pid: int) -> str | None:
    """Return when a process started; None where there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            return parse_start_time(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
    return command_output("ps", "-o", "lstart=", "-p", str(pid)).replace(" ", "_").replace(":", ".") or None


def is_alive(owner: Owner) -> bool:
    """Return whether this very process still runs, in this boot."""
    return owner.boot == boot_id() and process_start_time(owner.pid) == owner.started
