#!/usr/bin/env python3
"""The tracker: ``tracker.py IP:PORT``; ``--help`` tells the rest."""

import sys

from torrentnet.tracker.main import main

if __name__ == "__main__":
    sys.exit(main())
