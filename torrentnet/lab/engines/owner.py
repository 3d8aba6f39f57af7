"""The process that made a lab, and whether it is alive, dead, or not known.

Everything that a lab creates carries its owner: machine, boot, pid namespace, user, process id and start time. A
process id alone is used again by a later process; together with the process's start time (clock ticks since boot,
field 22 of ``/proc/<pid>/stat``, see proc(5)) and the id of the boot it identifies one process for good.

Several users, machines and containers may share a Docker Engine or a home directory. What a process cannot see from
where it is, is not known; and what is not known is left alone. Only what is dead is ever removed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from torrentnet.lab.engines.child_process import command_output

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
MACHINE_ID: Final = Path("/etc/machine-id")
PROC: Final = Path("/proc")
UNKNOWN_ID: Final = "unknown"
UNNUMBERED: Final = "?"
"""First character of the id of a machine that has no machine id: another machine may have the same id."""
MAX_PID: Final = 2**31 - 1
PARTS: Final = 6


class Life(StrEnum):
    """Whether a process runs."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"
    """It cannot be seen from here."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, identified so that no other one is mistaken for it."""

    machine: str
    boot: str
    namespace: str
    """The pid namespace in which the process id is valid."""
    user: int
    pid: int
    started: str
    """Clock ticks since boot on Linux; elsewhere the time that ``ps`` prints, without blanks."""

    def __str__(self) -> str:
        return f"{self.machine}:{self.boot}:{self.namespace}:{self.user}:{self.pid}:{self.started}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Return the owner that ``str`` wrote; None for any other text."""
        parts = text.split(":")
        if len(parts) != PARTS or not all(parts):
            return None
        machine, boot, namespace, user, pid, started = parts
        if not all(number.isascii() and number.isdigit() and int(number) <= MAX_PID for number in (user, pid)):
            return None
        return cls(machine, boot, namespace, int(user), int(pid), started) if int(pid) else None

    @classmethod
    def of(cls, pid: int) -> Owner:
        """Return a process of this machine that this process can see."""
        return cls(machine_id(), boot_id(), pid_namespace(), os.getuid(), pid, process_start_time(pid) or "0")

    @classmethod
    def myself(cls) -> Owner:
        """Return this process."""
        return cls.of(os.getpid())

    @property
    def mine(self) -> bool:
        """Whether this process's user owns it."""
        return self.user == os.getuid()

    @property
    def here(self) -> bool:
        """Whether it is of this machine, which may have got another name since.

        A copy of this machine that was made while it ran is taken for it: enough where a person says what to remove,
        but not where nobody does.
        """
        if self.machine == machine_id():
            return True
        return self.boot == boot_id() != UNKNOWN_ID and self.namespace == pid_namespace() != UNKNOWN_ID


def machine_id() -> str:
    """Return a short id of this machine: a hash of its machine id and its name.

    The name tells machines apart that were copied from one image.
    """
    try:
        number, prefix = MACHINE_ID.read_text(encoding="ascii").strip(), ""
    except (OSError, ValueError):
        number, prefix = "", UNNUMBERED
    return prefix + hashlib.sha256(f"torrentnet {number} {os.uname().nodename}".encode()).hexdigest()[:12]


def boot_id() -> str:
    """Return the kernel's id of this boot; ``unknown`` where it has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return UNKNOWN_ID


def pid_namespace() -> str:
    """Return the number of this process's pid namespace.

    The process ids that this process sees are valid in that namespace.
    """
    try:
        return os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]")
    except OSError:
        return UNKNOWN_ID


def parse_start_time(stat: str) -> str | None:
    """Return the start time in ``/proc/<pid>/stat``; None for a zombie.

    The command's name is in parentheses and may itself contain blanks and parentheses, so fields are counted from the
    last parenthesis.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in {"Z", "X"}:
        return None
    return fields[19]


def process_start_time(pid: int) -> str | None:
    """Return when a process started; None where no living process can be seen."""
    if (PROC / "self" / "stat").exists():
        try:
            return parse_start_time((PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
    return command_output("ps", "-o", "lstart=", "-p", str(pid)).replace(" ", "_").replace(":", ".") or None


def life_of(owner: Owner) -> Life:
    """Return whether this very process still runs."""
    machine, boot = machine_id(), boot_id()
    if owner.machine != machine:
        return Life.UNKNOWN
    if owner.boot != boot:
        certain = UNKNOWN_ID not in {owner.boot, boot} and not machine.startswith(UNNUMBERED)
        return Life.DEAD if certain else Life.UNKNOWN
    if owner.namespace != pid_namespace():
        return Life.UNKNOWN
    if not _exists(owner.pid):
        return Life.DEAD
    started = process_start_time(owner.pid)
    if started is not None:
        return Life.ALIVE if started == owner.started else Life.DEAD
    # It has ended meanwhile, nobody has waited for it yet, or /proc hides the processes of others (hidepid).
    return Life.DEAD if not _exists(owner.pid) or _is_zombie(owner.pid) else Life.UNKNOWN


def is_alive(owner: Owner) -> bool:
    """Return whether this very process is known to run."""
    return life_of(owner) is Life.ALIVE


def is_dead(owner: Owner) -> bool:
    """Return whether this very process is known to have ended."""
    return life_of(owner) is Life.DEAD


def _exists(pid: int) -> bool:
    """Return whether there is a process with this id, even where /proc hides it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_zombie(pid: int) -> bool:
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def directory_id(path: Path) -> str:
    """Return the device and the inode of a directory; empty where it cannot be seen."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"
