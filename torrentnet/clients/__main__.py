"""``python -m torrentnet.clients``."""

import sys

from torrentnet.clients.main import main

sys.exit(main())
