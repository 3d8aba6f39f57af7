"""The part of the bridge that needs no privileges.

tests/integration/test_local_engine.py tests the rest.
"""

from __future__ import annotations

from torrentnet.lab.engines.local.supervisor.bridge import mac_address


def test_a_node_keeps_its_hardware_address() -> None:
    assert mac_address("198.18.0.17") == "02:54:c6:12:00:11"
