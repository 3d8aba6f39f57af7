"""Tables of the kernel that all networks of a machine share.

Many nodes can fill them. A full table drops packets without a word to the programs, so that a lab would fail for a
reason that is not its own. The kernel counts what it has dropped, in hexadecimal, with a row for each processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

PROC: Final = Path("/proc")
PEERS_PER_NODE: Final = 8
"""How many others a node talks to at least, in a lab that is worth a warning."""


@dataclass(frozen=True, slots=True)
class KernelTable:
    """One table: where its limit is, and where the kernel counts what did not fit."""

    name: str
    setting: str
    """Name for ``sysctl``."""
    statistics: str
    counters: tuple[str, ...]

    def limit(self, proc: Path = PROC) -> int | None:
        """Return how many entries fit; None where the kernel has no such table."""
        try:
            return int((proc / "sys" / self.setting.replace(".", "/")).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def dropped(self, proc: Path = PROC) -> int:
        """Return how often something did not fit since the machine's start."""
        try:
            head, *rows = (proc / "net/stat" / self.statistics).read_text(encoding="ascii").splitlines()
            columns = [number for number, name in enumerate(head.split()) if name in self.counters]
            return sum(int(row.split()[column], 16) for row in rows for column in columns)
        except (OSError, ValueError, IndexError):
            return 0


NEIGHBOURS: Final = KernelTable("ARP table", "net.ipv4.neigh.default.gc_thresh3", "arp_cache", ("table_fulls",))
CONNECTIONS: Final = KernelTable(
    "conntrack table", "net.netfilter.nf_conntrack_max", "nf_conntrack", ("drop", "early_drop")
)
TABLES: Final = (NEIGHBOURS, CONNECTIONS)


def warnings_before(nodes: int, proc: Path = PROC) -> list[str]:
    """Return what to say before a lab of so many nodes starts."""
    needed = nodes * PEERS_PER_NODE
    return [
        f"warning: the kernel's {table.name} has {limit} entries for the whole machine, and {nodes} nodes need more:"
        f" sysctl -w {table.setting}={_power_of_two(needed * 2)}"
        for table in TABLES
        if (limit := table.limit(proc)) is not None and limit < needed
    ]


def count_dropped(proc: Path = PROC) -> dict[str, int]:
    """Return each table's count of what did not fit."""
    return {table.name: table.dropped(proc) for table in TABLES}


def warnings_after(before: Mapping[str, int], proc: Path = PROC) -> list[str]:
    """Return what to say of tables that were full since ``before``."""
    return [
        f"warning: the kernel's {table.name} was full {more} times meanwhile, and packets were lost:"
        f" sysctl -w {table.setting}={_power_of_two((table.limit(proc) or 1024) * 4)}"
        for table in TABLES
        if (more := table.dropped(proc) - before.get(table.name, 0)) > 0
    ]


def findings(proc: Path = PROC) -> list[Finding]:
    """Return the rows of ``doctor``."""
    rows = []
    for table in TABLES:
        limit, dropped = table.limit(proc), table.dropped(proc)
        if limit is not None:
            enough = f"{limit} entries, enough for {math.isqrt(limit)} nodes that all talk to each other"
            full = f"; was full {dropped} times since the machine's start" if dropped else ""
            remedy = f"sysctl -w {table.setting}={_power_of_two(limit * 4)}"
            rows.append(Finding(table.name, not dropped, enough + full, remedy, optional=True))
    return rows


def _power_of_two(number: int) -> int:
    return 1 << (max(number, 1) - 1).bit_length()
