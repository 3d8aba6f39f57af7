"""What else the machine does: a figure that was measured beside somebody else's work is worth less."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
SAMPLE_S = 0.25
IDLE_CORES = 0.4
"""Cores at work at which the machine counts as quiet."""


def parse_busy_seconds(stat: str, ticks: int) -> float:
    """Seconds of work of all processors since boot, from ``/proc/stat``: all but idle and waiting for disks."""
    fields = [int(word) for word in stat.splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / ticks


def busy_seconds() -> float:
    """Seconds of work of all processors since boot; 0 where the machine does not tell."""
    try:
        return parse_busy_seconds(STAT.read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
    except OSError:
        return 0.0


class IdleWaiter:
    """Waits for quiet moments, but not for ever: ``seconds`` in all."""

    def __init__(self, seconds: float, each: float) -> None:
        self._left = seconds
        self._each = each

    def wait(self) -> None:
        """Return when the machine is quiet, or when enough time was given to it."""
        began = time.monotonic()
        while (used := time.monotonic() - began) < min(self._left, self._each):
            before = busy_seconds()
            time.sleep(SAMPLE_S)
            if busy_seconds() - before < IDLE_CORES * SAMPLE_S:
                break
        self._left -= used
