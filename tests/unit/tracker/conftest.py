"""A tracker core in virtual time, and a peer that downloads."""

from __future__ import annotations

import pytest

from tests.unit.tracker.world import Client, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def leecher(world: World) -> Client:
    return Client(world, "leecher-1")
