"""How busy the machine is.

A result that was measured beside other work is worth less.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
SAMPLE_S = 0.25
IDLE_CORES = 0.4
"""Cores at work at which the machine counts as quiet."""


def parse_busy_seconds(stat: str, ticks: int) -> float:
    """Return the seconds of work of all processors since boot.

    They are parsed from ``/proc/stat``, without the time idle and the time waiting for disks.
    """
    fields = [int(word) for word in stat.splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / ticks


def busy_seconds() -> float:
    """Return the seconds of work of all processors since boot.

    The result is 0 if ``/proc/stat`` cannot be read.
    """
    try:
        return parse_busy_seconds(STAT.read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
    except OSError:
        return 0.0


class IdleWaiter:
    """Waits until the machine is idle, for at most ``seconds`` in all."""

    def __init__(self, seconds: float, each: float) -> None:
        self._left = seconds
        self._each = each

    def wait(self) -> None:
        """Return when the machine is idle, or when the time for waiting is used up."""
        began = time.monotonic()
        while (used := time.monotonic() - began) < min(self._left, self._each):
            before = busy_seconds()
            time.sleep(SAMPLE_S)
            if busy_seconds() - before < IDLE_CORES * SAMPLE_S:
                break
        self._left -= used
