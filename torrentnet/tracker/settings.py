"""The two times that the tracker asks its peers to keep."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torrentnet.tracker.limits import MIN_INTERVAL


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Seconds; ``timeout`` is longer than ``keepalive``."""

    keepalive: float = 5.0
    """How often a peer is to be heard."""
    timeout: float = 15.0
    """The silence after which it is forgotten."""

    @property
    def interval(self) -> int:
        """The interval of announce answers: whole seconds, and none that misleads dissectors."""
        return max(MIN_INTERVAL, math.ceil(self.keepalive))

    @property
    def keepalive_ms(self) -> int:
        """The same in milliseconds, as the extension carries it."""
        return round(self.keepalive * 1000)

    @property
    def timeout_ms(self) -> int:
        """The same in milliseconds, as the extension carries it."""
        return round(self.timeout * 1000)
