"""Streams of Docker that break off and are opened again.

Tested by tests/unit/lab/engines/docker/logs/test_streams.py.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any, Final

import requests
import urllib3

REOPEN_DELAYS: Final = (0.0, 0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds before each attempt to open a stream again."""
LASTING: Final = 5.0
"""A stream that was open for this time, or has delivered something, was no failed attempt."""
CATCH_UP: Final = 1.0
"""After a stream was opened again: for what was missed meanwhile."""
DISCONNECTED: Final = (OSError, ValueError, AttributeError, requests.RequestException, urllib3.exceptions.HTTPError)
"""What reading a stream may raise while another thread closes it."""


class ReopenAttempts:
    """The attempts to open a stream again."""

    def __init__(self) -> None:
        self._failed = 0
        self._opened = time.monotonic()

    def ended(self, *, useful: bool) -> None:
        """Note that the stream has ended, and whether it had delivered something."""
        if useful or time.monotonic() - self._opened > LASTING:
            self._failed = 0

    def next(self) -> float | None:
        """Return the delay before the next attempt; None where there is none."""
        self._opened = time.monotonic()
        self._failed += 1
        return REOPEN_DELAYS[self._failed - 1] if self._failed <= len(REOPEN_DELAYS) else None


class StreamLag:
    """The time in which a stream's news is late.

    It lasts from a break until shortly after the stream was opened again.
    """

    def __init__(self) -> None:
        self._until = -math.inf

    @property
    def lasts(self) -> bool:
        """Whether news is late now."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """Note that the stream has broken off."""
        self._until = math.inf

    def caught_up_soon(self) -> None:
        """Note that the stream is open again."""
        if self.lasts:
            self._until = time.monotonic() + CATCH_UP

    def end(self) -> None:
        """Note that everything has been read."""
        self._until = -math.inf


def close_stream(stream: Any) -> None:
    """Close a stream that another thread may be reading."""
    with contextlib.suppress(*DISCONNECTED):
        stream.close()


def release_stream(stream: Any) -> None:
    """Close a stream's connection once nobody reads it any more.

    :func:`close_stream` only shuts the socket down. The garbage collector may find the socket before its owner, and
    would warn that it was not closed.
    """
    with contextlib.suppress(*DISCONNECTED):
        stream._response.raw.close()
    with contextlib.suppress(*DISCONNECTED):
        stream._response.close()
