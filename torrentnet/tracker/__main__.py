"""``python -m torrentnet.tracker``: what ``tracker.py`` starts."""

import sys

from torrentnet.tracker.main import main

if __name__ == "__main__":
    sys.exit(main())
