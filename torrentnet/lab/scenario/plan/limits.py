"""What one node may use of the machine that runs it.

A node is a program that may be anybody's, so every node is limited.

Tested by tests/unit/lab/scenario/resolve/test_limits.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MEMORY: Final = 512 * 2**20
PROCESSES: Final = 128
PROCESSORS: Final = 1.0
OPEN_FILES: Final = 1024
LOG: Final = 16 * 2**20
DISK: Final = 64 * 2**20
"""Bytes beside the file that a node gets."""
TRACKER_DISK: Final = 256 * 2**20
COPIES: Final = 2
"""How often a node may store the file that it gets: some programs move it at the end."""
MEMORY_SHARE: Final = 8
"""The files of all nodes are kept in memory where they are expected to need less than this part of it."""


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """The most that a node may use."""

    memory: int = MEMORY
    """Bytes, without those of files in memory."""
    processes: int = PROCESSES
    """Processes and threads."""
    cpus: float = PROCESSORS
    """Processors' full time."""
    open_files: int = OPEN_FILES
    """Open files of one process."""
    log: int = LOG
    """Bytes of its output that are kept."""
    disk: int = DISK
    """Bytes of the files in its directory."""
    stored: int = 0
    """Bytes that the node is expected to store there."""
    explicit: tuple[str, ...] = ()
    """The limits that the scenario sets. An engine that cannot keep one of these refuses the scenario."""


def fits_in_memory(nodes: Iterable[NodeLimits], memory: int) -> bool:
    """Return whether the nodes' directories are kept in memory of so many bytes.

    Only there can their size be limited.
    """
    return sum(node.stored for node in nodes) <= memory // MEMORY_SHARE
