"""Run the adapters' command line: ``python -m torrentnet.adapters``."""

import sys

from torrentnet.adapters.main import main

sys.exit(main())
