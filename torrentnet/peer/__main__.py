"""``python -m torrentnet.peer``: what ``peer.py`` starts."""

import sys

from torrentnet.peer.main import main

if __name__ == "__main__":
    sys.exit(main())
