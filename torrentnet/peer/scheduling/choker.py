"""The choker: choose the peer to serve next, and how much to promise ahead.

Simulated and measured, these choices bring a swarm near the bound of its uplinks (Kumar and Ross 2006): whole pieces
to few receivers at a time, no uplink ever idle, and the peer with the fewest pieces first, so that all end together.
Every uplink sees a state that is a little old: if each chose the peer with the fewest pieces of all, they would all
choose the same peer. So each chooses among a few peers at random ("power of two choices", Mitzenmacher 2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

SAMPLE_SIZE: Final = 3
"""Peers that are compared for one credit."""
MAX_WAIT: Final = 10.0
"""Seconds after which a waiting peer is served first, however many pieces it holds."""
LOOKAHEAD: Final = 0.2
"""Seconds of sending that are promised ahead; part of that passes while a credit and its request are on their way."""
MIN_LOOKAHEAD_BYTES: Final = 32 * 1024
MAX_LOOKAHEAD_BYTES: Final = 8 * 1024 * 1024
INITIAL_LOOKAHEAD_BYTES: Final = 256 * 1024
"""Bytes until the rate is known: a fast uplink must not start slowly."""
RATE_WINDOW: Final = 0.2
INITIAL_RATE_WINDOW: Final = 0.05
"""Seconds over which the send rate is measured, and those of the first measurement."""
EWMA_WEIGHT: Final = 0.1
"""Weight of a measured rate that is lower than the estimate."""


class WaitingPeer(Protocol):
    """A peer that wants to be served."""

    @property
    def pieces_held(self) -> int:
        """Pieces that the peer holds or was promised."""

    @property
    def waiting_since(self) -> float:
        """Time of the last turn, or since when the peer has wanted one."""


T = TypeVar("T", bound=WaitingPeer)


def choose_next(waiting: Sequence[T], rng: random.Random, now: float) -> T | None:
    """Return the peer to serve next; None if no peer waits."""
    if not waiting:
        return None
    longest = min(waiting, key=lambda peer: peer.waiting_since)
    if now - longest.waiting_since > MAX_WAIT:
        return longest
    # sample() returns a random order, so that peers with equally many pieces are equally likely.
    sample = waiting if len(waiting) == 1 else rng.sample(waiting, min(SAMPLE_SIZE, len(waiting)))
    return min(sample, key=lambda peer: peer.pieces_held)


class SendRate:
    """The rate of a busy uplink, and how much may be promised ahead."""

    def __init__(self, now: float) -> None:
        self.rate = 0.0
        """Bytes a second; 0 until it is known."""
        self._since = now
        self._sent = 0
        self._busy = False

    def sent(self, count: int) -> None:
        """Count sent bytes."""
        self._sent += count

    def update(self, now: float, *, busy: bool) -> None:
        """Update the estimate; call it often. ``busy``: data waits to be sent now."""
        elapsed = now - self._since
        if not self.rate and not busy:
            # Data that left at once, the first messages for instance, does not show how fast more would leave.
            self._since, self._sent = now, 0
        elif elapsed >= (RATE_WINDOW if self.rate else INITIAL_RATE_WINDOW):
            measured = self._sent / elapsed
            # A window with an idle moment, or with slow receivers, shows less than could have been sent. So a higher
            # rate counts at once, and a lower rate only when it lasts.
            smoothed = self.rate + (measured - self.rate) * EWMA_WEIGHT if self._busy else self.rate
            self.rate = max(measured, smoothed)
            self._since, self._sent, self._busy = now, 0, busy
        elif not busy:
            self._busy = False

    def lookahead(self) -> int:
        """Return the bytes that may be promised ahead."""
        if not self.rate:
            return INITIAL_LOOKAHEAD_BYTES
        return round(min(max(self.rate * LOOKAHEAD, MIN_LOOKAHEAD_BYTES), MAX_LOOKAHEAD_BYTES))
