"""Estimate of what Docker has written of a node's log and nobody has read yet.

Docker removes the oldest lines of a log that is full, also before they are read, and says nothing of it.
"""

from __future__ import annotations

import math
from typing import Final

WINDOW: Final = 1.0
"""Seconds of the node's output by which its rate is estimated. A burst that is over sooner does not count as a rate."""
LINE_OVERHEAD: Final = 70
"""Bytes that Docker's files have for each line beside its text."""


class UnreadEstimate:
    """The estimate for one node.

    The bytes that the node has printed since the line that was read last follow from the line's age, and from the rate
    at which the lines before it were printed.
    """

    def __init__(self, limit: int) -> None:
        """``limit`` is the most bytes of one file of the log; 0 for no limit."""
        self._limit = limit
        self._since = -math.inf
        self._bytes = 0
        self._exceeded = False

    def exceeds_limit(self, printed: float, now: float, size: int) -> bool:
        """Take a line of ``size`` bytes; return whether lines may be lost.

        True is returned once. ``printed`` and ``now`` are times on one clock.
        """
        if printed - self._since > WINDOW:
            self._since, self._bytes = printed, 0
        self._bytes += size + LINE_OVERHEAD
        rate = self._bytes / WINDOW
        if self._exceeded or not self._limit or rate * (now - printed) < self._limit:
            return False
        self._exceeded = True
        return True
