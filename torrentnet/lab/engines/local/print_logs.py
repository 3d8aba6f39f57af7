"""Prints what the nodes of a lab said: ``python3 -m ... [--follow] DIRECTORY [NODE ...]``.

As ``docker compose logs`` does, each line stands after the name of its node.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorClient, stream_journal
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.errors import LabError

if TYPE_CHECKING:
    from torrentnet.lab.engines.local.supervisor.journal import JournalEntry

INTERRUPTED = 130
PIPE_CLOSED = 141
FOLLOW = "--follow"


def main(argv: list[str]) -> int:
    """Print the lines of the nodes named, or of all."""
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
        # The reader has what it wanted (| head). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except LabError as error:
        print(f"torrentnet: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


def _printable(entry: JournalEntry) -> str:
    """What a node says must not steer the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in entry.text or "")


if __name__ == "__main__":
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv))
