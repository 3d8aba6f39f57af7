"""Fixtures for tests with the real programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.loopback.programs import Loopback, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    """A network of programs that ends with the test."""
    yield from running(tmp_path)
