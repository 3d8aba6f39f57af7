"""Agreements between a process and its starter.

They are the exit statuses, the variable that names the console socket, and the files that may be opened.

Tested by tests/loopback/test_tracker_process.py.
"""

from __future__ import annotations

import os
from typing import Final

from torrentnet.wire.errors import LocalError

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
"""The command is right and has failed; an expectation of a run does not hold."""
EXIT_USAGE: Final = 2
"""The command line or the scenario is wrong."""
EXIT_UNAVAILABLE: Final = 3
"""What the command needs is missing or does not reply: the node, the engine."""
EXIT_INTERRUPTED: Final = 130
"""Interrupted by a signal, as in shells; everything has been cleaned up."""
EXIT_PIPE_CLOSED: Final = 141
"""The reader of standard output has gone, as in shells."""

CONSOLE_VARIABLE: Final = "TORRENTNET_CONSOLE"
"""Environment variable with the path of a program's console socket, for when no option gives one."""


def require_descriptors(count: int) -> None:
    """Raise :class:`LocalError` unless this process can open ``count`` more files."""
    opened: list[int] = []
    try:
        while len(opened) < count:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        raise LocalError(
            f"this process may open only {len(opened)} more files and sockets, and needs {count}",
            hint="raise the limit, for example with: ulimit -n 256",
        ) from None
    finally:
        for descriptor in opened:
            os.close(descriptor)
