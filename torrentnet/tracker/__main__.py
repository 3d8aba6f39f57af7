"""``python -m torrentnet.tracker``, which ``tracker.py`` runs."""

import sys

from torrentnet.tracker.main import main

if __name__ == "__main__":
    sys.exit(main())
