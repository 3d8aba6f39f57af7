"""Connection ids: an address proves itself by echoing one, and the tracker keeps no state for it (BEP 15)."""

from __future__ import annotations

import hashlib
import hmac

LIFETIME = 120.0
"""Seconds that an id is accepted for (BEP 15, "UDP connections / spoofing")."""
CLIENT_LIFETIME = 60.0
"""Seconds that a client uses an id for."""
MAX_VERIFIED = 16_384
"""Ids that are remembered as good, so that the hash is not computed for each datagram; 3 MB."""
_FIRST_TICK = 0x10000
"""Wireshark takes a first word of 0 to 3 for an action number; ids start well above."""


class ConnectionIds:
    """Makes and checks ids: 32 bits of time, then 32 bits of a keyed hash over time and address.

    ``secret`` is 16 or more random bytes; ``started`` is the clock's reading when it was made: ids of an
    earlier life of the tracker, which had another secret, never pass. Addresses are IPv4 texts; the port is
    left out, as clients may use one id for several sockets.
    """

    def __init__(self, secret: bytes, started: float) -> None:
        if len(secret) < 16:
            raise ValueError("a secret has at least 16 bytes")
        self._secret = secret[:64]
        self._started = started
        self._proved: dict[int, str] = {}

    def issue(self, ip: str, now: float) -> int:
        """The id (64 bits) that the host ``ip`` is to echo."""
        tick = self._tick(now) & 0xFFFFFFFF
        return tick << 32 | self._mac(tick, ip)

    def accepts(self, connection_id: int, ip: str, now: float) -> bool:
        """Whether ``connection_id`` was issued to ``ip`` by us within the last two minutes, and not in the future."""
        tick = connection_id >> 32
        if not 0 <= int(now - self._started) + _FIRST_TICK - tick <= LIFETIME:
            return False
        if self._proved.get(connection_id) == ip:
            return True
        sent = (connection_id & 0xFFFFFFFF).to_bytes(4, "big")
        if not hmac.compare_digest(sent, self._mac(tick, ip).to_bytes(4, "big")):
            return False
        if len(self._proved) >= MAX_VERIFIED:
            self._proved.clear()
        self._proved[connection_id] = ip
        return True

    def oldest(self, now: float) -> int:
        """The least id that is not too old: one that was accepted earlier is accepted ``now`` if it is no less."""
        return (self._tick(now) - int(LIFETIME)) << 32

    def _tick(self, now: float) -> int:
        return int(now - self._started) + _FIRST_TICK

    def _mac(self, tick: int, ip: str) -> int:
        message = tick.to_bytes(4, "big") + ip.encode("ascii", "replace")
        return int.from_bytes(hashlib.blake2b(message, digest_size=4, key=self._secret).digest(), "big")
