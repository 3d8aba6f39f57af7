"""Where the lab finds its home directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.home.paths import checkout_root, lab_home

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_environment_variable_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORRENTNET_HOME", raising=False)
    assert lab_home() == checkout_root()
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    assert lab_home() == tmp_path
