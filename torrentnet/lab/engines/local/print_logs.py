"""Command that prints the output of a lab's nodes.

Usage: ``python3 -m ... [--follow] DIRECTORY [NODE ...]``. As with ``docker compose logs``, each line follows the name
of its node.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorClient
from torrentnet.lab.engines.local.journal_follower import stream_journal
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.errors import LabError

if TYPE_CHECKING:
    from torrentnet.lab.engines.local.supervisor.journal import JournalEntry

INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
FOLLOW: Final = "--follow"


def main(argv: list[str]) -> int:
    """Print the lines of the named nodes, or of all; returns the exit status."""
    follow = FOLLOW in argv[1:2]
    directory, *wanted = argv[2:] if follow else argv[1:]
    try:
        lab = SupervisedLab.loads((Path(directory) / protocol.LAB_FILE).read_text(encoding="utf-8"))
        width = max(len(node.name) for node in lab.nodes)
        for entry in stream_journal(SupervisorClient(Path(directory)), follow=follow):
            if entry.text is not None and (not wanted or entry.node in wanted):
                print(f"{entry.node:<{width}}  | {_printable(entry)}", flush=follow)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has read enough (| head). Without this, Python would report the closed pipe again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except LabError as error:
        print(f"torrentnet: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


def _printable(entry: JournalEntry) -> str:
    """Escape what would control the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in entry.text or "")


if __name__ == "__main__":
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv))
