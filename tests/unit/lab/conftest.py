"""The lab as if it were installed from a wheel, and a directory for other users."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab import installation, paths

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary directory that every user can reach; ``tmp_path`` is private."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path)


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
