"""Command that prints the output of a lab's nodes.

Usage: ``python3 -m ... [--follow] DIRECTORY [NODE ...]``. As with ``docker compose logs``, each line follows the name
of its node.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorClient
from torrentnet.lab.engines.local.journal_follower import missed_entries, stream_journal
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.errors import LabError
from torrentnet.runtime.process import EXIT_INTERRUPTED, EXIT_OK, EXIT_PIPE_CLOSED, EXIT_UNAVAILABLE
from torrentnet.runtime.standard_streams import guarded_streams

if TYPE_CHECKING:
    from torrentnet.lab.engines.local.supervisor.journal import JournalEntry

FOLLOW: Final = "--follow"


def main(argv: list[str]) -> int:
    """Print the lines of the named nodes, or of all; returns the exit status."""
    follow = FOLLOW in argv[1:2]
    directory, *wanted = argv[2:] if follow else argv[1:]
    with guarded_streams() as (out, _):
        try:
            lab = SupervisedLab.loads((Path(directory) / protocol.LAB_FILE).read_text(encoding="utf-8"))
            width = max(len(node.name) for node in lab.nodes)
            read: dict[str, int] = {}
            for entry in stream_journal(SupervisorClient(Path(directory)), follow=follow):
                missed = missed_entries(entry, read.get(entry.node, 0))
                read[entry.node] = entry.number
                if wanted and entry.node not in wanted:
                    continue
                if missed:
                    print(f"{entry.node:<{width}}  | ({missed} lines are missing: `limits: {{log}}` keeps the newest)")
                if entry.text is not None:
                    print(f"{entry.node:<{width}}  | {_printable(entry)}")
                if out.failure is not None:
                    # The reader has read enough (| head).
                    return EXIT_PIPE_CLOSED
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except LabError as error:
            print(f"torrentnet: {error.message}", file=sys.stderr)
            return error.exit_code
        except (OSError, ValueError) as error:
            print(f"torrentnet: the lab's output cannot be read: {error}", file=sys.stderr)
            return EXIT_UNAVAILABLE
    return EXIT_OK


def _printable(entry: JournalEntry) -> str:
    """Escape what would control the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in entry.text or "")


if __name__ == "__main__":
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv))
