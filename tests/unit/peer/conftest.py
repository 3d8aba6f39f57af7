"""Fixtures for the peer's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world without a peer yet."""
    made = World(tmp_path)
    yield made
    made.close()
