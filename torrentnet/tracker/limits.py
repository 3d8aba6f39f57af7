"""Limits of the tracker's state: beyond them it refuses requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIN_INTERVAL: Final = 5
"""Shortest interval in an announce reply, in seconds: dissectors take a reply with 1 or 2 for a request."""
STANDARD_CLIENT_TIMEOUT: Final = 600.0
"""Shortest time-out of a standard client: libtorrent never announces over UDP more often than every 60 s."""
STANDARD_CLIENT_GAPS: Final = 2.5
"""Time-out of a standard client as a multiple of the longest gap between its datagrams."""
MAX_GAP: Final = 3600.0
"""Longest gap that counts as the client's habit."""
DEFAULT_WANT: Final = 50
"""Peers in an announce reply when the client leaves the number to the tracker (num_want -1, BEP 15)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; by default all state fits into a few hundred MB."""

    holders: int = 1_000_000
    """Members of all swarms; a peer in two swarms counts twice."""
    holders_per_ip: int = 20_000
    """Members with one address: a load generator, or a school behind one router."""
    holders_per_swarm: int = 1_000_000
    swarms: int = 20_000
    swarms_per_ip: int = 5_000
    """Swarms that one address may have opened."""
    piece_bytes: int = 64 * 1024 * 1024
    """Bytes of all bitfields from possession reports."""
    open_requests: int = 20_000
    """Requests that wait for their outcome."""
    open_requests_per_ip: int = 2_000
    closed_requests: int = 10_000
    """Abandoned requests that are remembered, because a late outcome may still correct them."""
    named_holders: int = 100
    """Holders that a row of the request log names; the others are only counted."""
    answers: int = 8_192
    """Cached answers for retransmitted requests."""
    answer_bytes: int = 4 * 1024 * 1024
    """Bytes of these answers."""
    answer_s: float = 120.0
    """Seconds that an answer is cached: no connection id is older, so no retransmission can be."""
