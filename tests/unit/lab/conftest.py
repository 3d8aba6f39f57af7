"""The lab as if it were installed from a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab import installation, paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the package look installed; return the directory of its files."""
    copies = tmp_path / "site-packages" / "torrentnet" / "_files"
    copies.mkdir(parents=True)
    for module in (paths, installation):
        monkeypatch.setattr(module, "PACKAGE", copies.parent)
    monkeypatch.setattr(paths, "_COPIES", copies)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TORRENTNET_HOME", raising=False)
    return copies
