"""A limit of the bytes of event lines that packets may cause.

Tested by tests/unit/tracker/journal/test_audit_log.py.
"""

from __future__ import annotations

from typing import Final

PERIOD_MS: Final = 10_000
MAX_BYTES_PER_IP: Final = 2 * 1024 * 1024
"""Bytes of lines that one address may cause in a period: some 15,000 lines."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Bytes of lines in a period."""


class LineBudget:
    """The bytes of lines in the present period, in all and by address.

    What is left out of the log is in the journal all the same.
    """

    __slots__ = ("_bytes", "_bytes_by_ip", "_left_out", "_started_ms")

    def __init__(self) -> None:
        self._started_ms = 0
        self._bytes = 0
        self._bytes_by_ip: dict[str, int] = {}
        self._left_out = 0

    def has_passed(self, time_ms: int) -> bool:
        """Return whether a new period begins at this time of day, which may jump."""
        return not 0 <= time_ms - self._started_ms < PERIOD_MS

    def renew(self, time_ms: int) -> int:
        """Begin a period; return the number of lines that the previous one left out."""
        left_out, self._left_out = self._left_out, 0
        self._started_ms = time_ms
        self._bytes = 0
        self._bytes_by_ip.clear()
        return left_out

    def admits(self, ip: str, size: int) -> bool:
        """Return whether an address may cause a line of ``size`` bytes, and count it."""
        own = self._bytes_by_ip.get(ip, 0) + size
        if own > MAX_BYTES_PER_IP or self._bytes + size > MAX_BYTES:
            self._left_out += 1
            return False
        self._bytes_by_ip[ip] = own
        self._bytes += size
        return True
