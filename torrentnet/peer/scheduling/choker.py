"""Whose turn it is: an uplink is promised no further ahead than it can serve soon, and the poorest get it first.

Simulated and measured, these choices bring a swarm near the bound of its uplinks (Kumar and Ross 2006): whole pieces
to few receivers at a time, no uplink ever idle, and whoever has least is served first, so that all end together.
Everybody sees a state that is a little old; if all took the one poorest peer, they would all take the same. So each
looks at a few at random and takes the poorest of those ("power of two choices", Mitzenmacher 2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

SAMPLE_SIZE = 3
"""Peers that are looked at for one turn."""
MAX_WAIT = 10.0
"""Seconds that a peer waits at most while others get turns; then it comes first, however rich it is."""
LOOKAHEAD = 0.2
"""Seconds of sending that are promised ahead: an offer and its request take a part of it on their way."""
MIN_LOOKAHEAD_BYTES = 32 * 1024
MAX_LOOKAHEAD_BYTES = 8 * 1024 * 1024
"""Bytes."""
INITIAL_LOOKAHEAD_BYTES = 256 * 1024
"""Bytes that are promised before it is known how fast they leave: a fast uplink must not begin slowly."""
RATE_WINDOW, INITIAL_RATE_WINDOW = 0.2, 0.05
"""Seconds over which the rate of sending is looked at."""
EWMA_WEIGHT = 0.1
"""How much of what such a look shows less than before is believed."""


class WaitingPeer(Protocol):
    """A peer that wants to be served."""

    @property
    def pieces_held(self) -> int:
        """Pieces that it holds or was promised."""

    @property
    def waiting_since(self) -> float:
        """When it last got a turn, or began to want one."""


T = TypeVar("T", bound=WaitingPeer)


def choose_next(waiting: Sequence[T], rng: random.Random, now: float) -> T | None:
    """Who is served next; None where nobody waits."""
    if not waiting:
        return None
    longest = min(waiting, key=lambda peer: peer.waiting_since)
    if now - longest.waiting_since > MAX_WAIT:
        return longest
    # sample() is in random order, so that equals are as likely to be first.
    looked_at = waiting if len(waiting) == 1 else rng.sample(waiting, min(SAMPLE_SIZE, len(waiting)))
    return min(looked_at, key=lambda peer: peer.pieces_held)


class SendRate:
    """How fast this peer sends when it has something to send, and so how much may be promised ahead."""

    def __init__(self, now: float) -> None:
        self.rate = 0.0
        """Bytes a second."""
        self._since = now
        self._sent = 0
        self._busy = False

    def sent(self, count: int) -> None:
        """``count`` bytes have left."""
        self._sent += count

    def look(self, now: float, *, busy: bool) -> None:
        """Call it often; ``busy`` is whether something waits to be sent now."""
        elapsed = now - self._since
        if not self.rate and not busy:
            # What has left at once, an introduction for instance, tells nothing of how fast more would leave.
            self._since, self._sent = now, 0
        elif elapsed >= (RATE_WINDOW if self.rate else INITIAL_RATE_WINDOW):
            seen = self._sent / elapsed
            # A window with an idle moment in it shows less than what could have been sent, and so does one in which
            # slow receivers were served. Growth is believed at once, and less only when it lasts.
            self.rate = max(seen, self.rate + (seen - self.rate) * EWMA_WEIGHT if self._busy else self.rate)
            self._since, self._sent, self._busy = now, 0, busy
        elif not busy:
            self._busy = False

    def ahead(self) -> int:
        """Bytes that may be promised ahead."""
        if not self.rate:
            return INITIAL_LOOKAHEAD_BYTES
        return round(min(max(self.rate * LOOKAHEAD, MIN_LOOKAHEAD_BYTES), MAX_LOOKAHEAD_BYTES))
