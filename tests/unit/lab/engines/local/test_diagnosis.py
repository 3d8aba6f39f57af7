"""How the network mode of the nodes is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from torrentnet.lab.engines.local import diagnosis
from torrentnet.lab.errors import EngineError


def test_an_unknown_network_mode_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(diagnosis.NETWORK_VARIABLE, "carrier-pigeons")
    with pytest.raises(EngineError, match="TORRENTNET_LOCAL_NETWORK=carrier-pigeons is not a way to connect nodes"):
        diagnosis.find_network_mode(Path("/"))


def test_the_environment_can_force_the_loopback_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(diagnosis.NETWORK_VARIABLE, "loopback")
    mode = diagnosis.find_network_mode(Path("/"))
    assert (mode.network, mode.reason) == ("loopback", "TORRENTNET_LOCAL_NETWORK=loopback")
