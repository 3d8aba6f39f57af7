"""The lab's time: seconds after t = 0, the moment at which the tracker and the initial seeds are up.

Tested by tests/integration/test_up.py
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


class LabClock:
    """Runs from its creation on, whatever happens to the machine's wall clock."""

    def __init__(self) -> None:
        self._zero = time.monotonic()
        self.epoch = time.time()
        """t = 0 in seconds since the epoch: relates the engine's times to the lab's."""

    def now(self) -> float:
        """Return the seconds after t = 0."""
        return time.monotonic() - self._zero

    def of(self, epoch: float) -> float:
        """Convert a time of the engine to seconds after t = 0."""
        return epoch - self.epoch

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Wait, holding ``condition``, until it is notified or that time has come."""
        condition.wait(None if until is None else max(0.0, until - self.now()))
