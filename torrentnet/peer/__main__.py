"""``python -m torrentnet.peer``: what ``peer.py`` starts."""

import torrentnet.runtime.early_interrupt  # noqa: F401, I001  (before all others)
import sys

from torrentnet.peer.main import main

if __name__ == "__main__":
    sys.exit(main())
