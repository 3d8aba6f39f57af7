"""Connection ids, by which peers prove their addresses (BEP 15).

The tracker keeps no state for them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

LIFETIME: Final = 120.0
"""Seconds for which the tracker accepts an id (BEP 15, "UDP connections / spoofing")."""
CLIENT_LIFETIME: Final = 60.0
"""Seconds for which a client uses an id."""
MAX_VERIFIED: Final = 16_384
"""Verified ids that are cached, so that the hash is not computed for every datagram; 3 MB."""
_FIRST_TICK: Final = 0x10000
"""Wireshark takes a first word of 0 to 3 for an action number; ids start well above."""


class ConnectionIds:
    """Issuer and verifier of connection ids.

    An id is 32 bits of time, then 32 bits of a keyed hash over time and address. ``secret`` is 16 or more random bytes;
    ``started`` is the clock's reading when it was made: ids of an earlier run of the tracker, which had another secret,
    are never accepted. Addresses are IPv4 texts; the port is left out, because clients may use one id for several
    sockets.
    """

    def __init__(self, secret: bytes, started: float) -> None:
        if len(secret) < 16:
            raise ValueError("a secret has at least 16 bytes")
        self._secret = secret[:64]
        self._started = started
        self._verified: dict[int, str] = {}

    def issue(self, ip: str, now: float) -> int:
        """Return the id (64 bits) that the host ``ip`` must echo."""
        tick = self._tick(now) & 0xFFFFFFFF
        return tick << 32 | self._mac(tick, ip)

    def accepts(self, connection_id: int, ip: str, now: float) -> bool:
        """Return whether this object issued ``connection_id`` to ``ip`` recently.

        An id is accepted for two minutes.
        """
        tick = connection_id >> 32
        if not 0 <= int(now - self._started) + _FIRST_TICK - tick <= LIFETIME:
            return False
        if self._verified.get(connection_id) == ip:
            return True
        mac = (connection_id & 0xFFFFFFFF).to_bytes(4, "big")
        if not hmac.compare_digest(mac, self._mac(tick, ip).to_bytes(4, "big")):
            return False
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        self._verified[connection_id] = ip
        return True

    def oldest(self, now: float) -> int:
        """Return the smallest id that is not too old at the time ``now``.

        A verified id is still valid unless it is smaller than the returned one.
        """
        return (self._tick(now) - int(LIFETIME)) << 32

    def _tick(self, now: float) -> int:
        return int(now - self._started) + _FIRST_TICK

    def _mac(self, tick: int, ip: str) -> int:
        message = tick.to_bytes(4, "big") + ip.encode("ascii", "replace")
        return int.from_bytes(hashlib.blake2b(message, digest_size=4, key=self._secret).digest(), "big")
