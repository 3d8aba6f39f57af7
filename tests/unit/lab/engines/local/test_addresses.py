"""Loopback subnets that no two labs share."""

from __future__ import annotations

from torrentnet.lab.engines.local import addresses


def test_no_two_labs_get_the_same_loopback_subnet() -> None:
    first, held = addresses.claim_loopback_subnet(3)
    second, more = addresses.claim_loopback_subnet(300)
    try:
        assert not first.overlaps(second)
        assert (first.prefixlen, second.prefixlen) == (24, 23)
        assert second.overlaps(addresses.LOOPBACK)
    finally:
        for one in (*held, *more):
            one.close()
    again, held = addresses.claim_loopback_subnet(3)
    for one in held:
        one.close()
    assert again == first
