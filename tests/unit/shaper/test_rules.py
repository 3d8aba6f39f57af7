"""The input of iptables-restore."""

from __future__ import annotations

import pytest

from torrentnet.shaper.rules import input_rules, queue_number


def test_each_address_has_its_queue() -> None:
    assert (
        input_rules({"198.18.0.4": 4, "198.18.1.5": 261})
        == """\
*mangle
:TORRENTNET-DELAY - [0:0]
-F INPUT
-A INPUT -j TORRENTNET-DELAY
-A TORRENTNET-DELAY -s 198.18.0.4/32 ! -i lo -j NFQUEUE --queue-num 4
-A TORRENTNET-DELAY -s 198.18.1.5/32 ! -i lo -j NFQUEUE --queue-num 261
COMMIT
"""
    )


def test_a_queue_without_a_listener_drops() -> None:
    assert "bypass" not in input_rules({"198.18.0.4": 4})


@pytest.mark.parametrize("queues", [{"198.18.0.4 -j ACCEPT": 4}, {"leecher-1": 4}, {"::1": 4}, {"198.18.0.4": 65536}])
def test_an_invalid_address_or_queue_is_refused(queues: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        input_rules(queues)


def test_nodes_of_a_lab_have_different_queues() -> None:
    assert [queue_number(address) for address in ("198.18.0.4", "198.18.1.4", "198.18.255.255")] == [4, 260, 65535]
