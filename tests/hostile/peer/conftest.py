"""Fixtures: the real programs, and a tracker of which each answer can be a lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.peer.rig import LyingTracker
from tests.loopback.programs import Loopback, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    """A network of programs that ends with the test."""
    yield from running(tmp_path)


@pytest.fixture
def liar() -> Iterator[LyingTracker]:
    """A tracker in this process, whose answers the test sets."""
    with LyingTracker() as tracker:
        yield tracker
