"""Fixtures for the strategies' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.peer.strategies.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world without peers."""
    made = World(tmp_path)
    yield made
    made.close()
