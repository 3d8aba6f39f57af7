"""Who made a lab, and whether that process still lives.

A lab's owner is written on everything that it makes: ``<boot id>:<pid>:<start time>``. A pid alone is used again by
the next process; with the time at which the process started (clock ticks since boot, field 22 of ``/proc/<pid>/stat``,
see proc(5)) and the id of the boot it names one process for ever.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NO_BOOT_ID = "unknown"


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, named so that no later one is mistaken for it."""

    boot: str
    pid: int
    started: str
    """Clock ticks since boot on Linux; elsewhere what ``ps`` says, without blanks."""

    def __str__(self) -> str:
        return f"{self.boot}:{self.pid}:{self.started}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner that ``str`` wrote, or None where the text is no such thing."""
        boot, _, rest = text.partition(":")
        pid, _, started = rest.partition(":")
        if not boot or not started or not (pid.isascii() and pid.isdigit()) or ":" in started:
            return None
        return cls(boot, int(pid), started)

    @classmethod
    def myself(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(boot_id(), pid, process_start_time(pid) or "0")


def boot_id() -> str:
    """The kernel's id of this boot, or ``unknown`` where it gives none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return NO_BOOT_ID


def pid_namespace() -> str:
    """Names the set of processes that this one can see: a pid of another set says nothing here."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return NO_BOOT_ID


def parse_start_time(stat: str) -> str | None:
    """The start time in a ``/proc/<pid>/stat``; None for a process that has ended and was not yet waited for.

    The command's name stands in parentheses and may itself hold blanks and parentheses: fields count from the last one.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in {"Z", "X"}:
        return None
    return fields[19]


def process_start_time(pid: int) -> str | None:
    """When a process started; None where there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            return parse_start_time(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip().replace(" ", "_").replace(":", ".") or None


def is_alive(owner: Owner) -> bool:
    """Whether that very process still runs in this boot."""
    return owner.boot == boot_id() and process_start_time(owner.pid) == owner.started
