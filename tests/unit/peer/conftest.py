"""Fixtures for the peer's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.downloader import NAME
from tests.unit.peer.streams import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.peer.storage.file_store import FileStore


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStore]:
    """The test module's ``DATA`` as a complete, shared file."""
    made = make_store(tmp_path / NAME, request.module.DATA)
    yield made
    made.close()
