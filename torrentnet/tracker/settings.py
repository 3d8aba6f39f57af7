"""The two times that the tracker asks its peers to keep.

Tested by tests/unit/tracker/handlers/test_announce.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torrentnet.tracker.limits import MIN_INTERVAL


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Times in seconds; ``timeout`` is longer than ``keepalive``."""

    keepalive: float = 5.0
    """Time between two announces of a peer."""
    timeout: float = 15.0
    """Silence after which a peer expires."""

    @property
    def interval(self) -> int:
        """Interval of announce replies in whole seconds, at least :data:`MIN_INTERVAL`."""
        return max(MIN_INTERVAL, math.ceil(self.keepalive))

    @property
    def keepalive_ms(self) -> int:
        """``keepalive`` in milliseconds, as the extension's packets carry it."""
        return round(self.keepalive * 1000)

    @property
    def timeout_ms(self) -> int:
        """``timeout`` in milliseconds, as the extension's packets carry it."""
        return round(self.timeout * 1000)
