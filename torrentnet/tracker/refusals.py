"""Refused datagrams: why each was refused, how many, and a few of them in the log.

Tested by tests/unit/tracker/test_core.py.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class RefusalReason(Enum):
    """Why a datagram was not handled; each value is a label in ``status``."""

    SHORT = "too short"
    UNKNOWN_ACTION = "unknown action"
    CONNECTION_ID = "connection id"
    MALFORMED = "malformed"
    UNKNOWN_PEER = "unknown peer"
    NAME_TAKEN = "name taken"
    LIMIT = "limit"
    CONTRADICTION = "contradiction"
    FOREIGN_OUTCOME = "foreign outcome"
    ADDRESS_FIELD = "address field ignored"
    BEHIND = "postponed: the journal is behind"
    INTERNAL = "internal error"


class RefusalError(Exception):
    """A request was refused; the message is sent to the requester."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class RefusalLog:
    """Counts refusals and emits ``refused`` events at a limited rate.

    ``emit`` is called with the name of an event, and with its fields as keywords. At most ``burst`` events are emitted
    at once, and ``per_second`` in the long run, so that a flood of bad datagrams does not fill the log. The field
    ``left_out`` is the number of refusals since the previous event that were only counted.
    """

    def __init__(self, emit: Callable[..., None], *, burst: int = 20, per_second: float = 5.0) -> None:
        self._emit = emit
        self._burst = burst
        self._per_second = per_second
        self._tokens = float(burst)
        self._filled_at: float | None = None
        self._left_out = 0
        self.counts: dict[RefusalReason, int] = dict.fromkeys(RefusalReason, 0)
        """Number of refused datagrams by reason."""

    def count(self, reason: RefusalReason) -> None:
        """Count a refusal without an event."""
        self.counts[reason] += 1

    def report(self, reason: RefusalReason, what: str, source: tuple[str, int], text: str, now: float) -> None:
        """Count a refused packet of kind ``what``, and emit an event if the rate allows."""
        self.counts[reason] += 1
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            self._left_out += 1
            return
        self._tokens -= 1
        left_out, self._left_out = self._left_out, 0
        address = f"{source[0]}:{source[1]}"
        self._emit("refused", what=what, address=address, reason=text, left_out=left_out or None)
