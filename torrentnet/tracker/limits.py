"""How much of everything the tracker keeps: past a limit it refuses, and says so, instead of growing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIN_INTERVAL: Final = 5
"""Least interval in an announce answer: 1 and 2 make dissectors take the answer for a request."""
STANDARD_CLIENT_TIMEOUT: Final = 600.0
"""A standard client is not forgotten earlier: libtorrent never announces over UDP more often than every 60 s."""
STANDARD_CLIENT_GAPS: Final = 2.5
"""A standard client may be silent for this many of the gaps that it was seen to keep."""
MAX_GAP: Final = 3600.0
"""Longest gap that is believed to be a habit."""
DEFAULT_WANT: Final = 50
"""Peers in an announce answer when the client leaves the number to us (num_want -1, BEP 15)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds. The defaults hold a few hundred MB of state at the very worst, and as much in the journal."""

    holders: int = 1_000_000
    """Entries (one peer in one swarm) altogether."""
    holders_per_ip: int = 20_000
    """Entries of one address: a load generator, or a school behind one router."""
    holders_per_swarm: int = 1_000_000
    swarms: int = 20_000
    swarms_per_ip: int = 5_000
    """Swarms that one address may have opened."""
    piece_bytes: int = 64 * 1024 * 1024
    """Bytes of all bitfields that possession reports fill."""
    open_requests: int = 20_000
    """Rows of the request log that wait for their outcome."""
    open_requests_per_ip: int = 2_000
    closed_requests: int = 10_000
    """Closed rows that are remembered, because a late outcome may still correct them."""
    named_holders: int = 100
    """Names that a row of the request log lists; it counts the others."""
    answers: int = 8_192
    """Answers that are kept for retransmitted requests."""
    answer_bytes: int = 4 * 1024 * 1024
    """Bytes of these answers."""
    answer_s: float = 120.0
    """Seconds that an answer is kept: no connection id is older, so no retransmission can be."""
