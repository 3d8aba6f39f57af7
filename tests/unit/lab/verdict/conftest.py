"""Fixtures for the lab's tests."""

from __future__ import annotations

import pytest

from tests.unit.lab.verdict.trial import Trial


@pytest.fixture
def trial() -> Trial:
    """Nothing has happened yet."""
    return Trial()
