"""``python -m torrentnet.lab`` is the command ``torrentnet``."""

from __future__ import annotations

import sys

from torrentnet.runtime.process import EXIT_INTERRUPTED


def main() -> None:
    """Run the command line; Ctrl-C ends it in silence while libraries are loaded."""
    try:
        from torrentnet.lab.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
