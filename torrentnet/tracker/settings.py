"""Settings of the tracker: times that peers must keep, and limits of its state.

Tested by tests/unit/tracker/handlers/test_announce.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MIN_INTERVAL: Final = 5
"""Shortest interval in an announce reply, in seconds: Wireshark shows a reply with 1 or 2 as a request."""
STANDARD_CLIENT_TIMEOUT: Final = 600.0
"""Shortest time-out of a standard client. libtorrent announces over UDP every 60 s at most."""
STANDARD_CLIENT_GAPS: Final = 2.5
"""Time-out of a standard client as a multiple of the longest gap between its datagrams."""
MAX_GAP: Final = 3600.0
"""Longest gap that is counted."""
DEFAULT_WANT: Final = 50
"""Peers in an announce reply when the client leaves the number to the tracker (num_want -1, BEP 15)."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Times in seconds; ``timeout`` must be longer than ``keepalive``."""

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
        """``keepalive`` in whole milliseconds."""
        return round(self.keepalive * 1000)

    @property
    def timeout_ms(self) -> int:
        """``timeout`` in whole milliseconds."""
        return round(self.timeout * 1000)


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, beyond which requests are refused. All state fits in a few 100 MB."""

    holders: int = 1_000_000
    """Members of all swarms; a peer in two swarms counts twice."""
    holders_per_ip: int = 20_000
    """Members with one address, such as a load generator, or a school behind one router."""
    holders_per_swarm: int = 1_000_000
    swarms: int = 20_000
    swarms_per_ip: int = 5_000
    """Swarms that one address has opened."""
    piece_bytes: int = 64 * 1024 * 1024
    """Bytes of all bitfields from possession reports. One address may have half of them."""
    piece_bytes_per_ip: int = 256 * 1024
    """Bytes of bitfields that one address may always have, while there are any."""
    open_requests: int = 20_000
    """Requests that wait for their outcome."""
    open_requests_per_ip: int = 2_000
    closed_requests: int = 10_000
    """Abandoned requests that are kept, because a late outcome may still correct them."""
    named_holders: int = 100
    """Holders that a row of the request log names; further holders are only counted."""
    answers: int = 8_192
    """Cached answers for retransmitted requests."""
    answer_bytes: int = 4 * 1024 * 1024
    """Bytes of cached answers and their requests."""
    answer_s: float = 120.0
    """How long an answer is cached, in seconds: as long as the connection id of a retransmission is valid."""
