#!/usr/bin/env python3
"""Share a file, or get one: see ``peer.py --help``."""

import torrentnet.runtime.early_interrupt  # noqa: F401, I001  (before all others)
import sys

from torrentnet.peer.main import main

if __name__ == "__main__":
    sys.exit(main())
