#!/usr/bin/env python3
"""The tracker: ``tracker.py IP:PORT``; ``--help`` tells the rest."""

import torrentnet.runtime.early_interrupt  # noqa: F401, I001  (before all others)
import sys

from torrentnet.tracker.main import main

if __name__ == "__main__":
    sys.exit(main())
