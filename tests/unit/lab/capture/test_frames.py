"""Who sent a frame, and to whom."""

from __future__ import annotations

from tests.unit.lab.capture.frames_kit import arp_frame, udp_frame
from torrentnet.lab.capture.frames import NodeAddresses

ADDRESSES = NodeAddresses({"tracker": "198.18.0.2", "leecher-1": "198.18.0.6", "not yet": ""})


def test_ends_are_named() -> None:
    assert ADDRESSES.ends(udp_frame("198.18.0.6", "198.18.0.2")) == ("leecher-1", "tracker", True)
    assert ADDRESSES.ends(arp_frame("198.18.0.2", "198.18.0.6")) == ("tracker", "leecher-1", False)


def test_strangers_and_stumps_have_no_name() -> None:
    assert ADDRESSES.ends(udp_frame("198.18.0.9", "198.18.0.2")) == ("", "tracker", True)
    for size in range(14):
        assert ADDRESSES.ends(udp_frame("198.18.0.6", "198.18.0.2")[:size]) == ("", "", False)
