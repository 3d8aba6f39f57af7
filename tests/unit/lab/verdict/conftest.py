"""Fixtures for the tests of checks."""

from __future__ import annotations

import pytest

from tests.unit.lab.verdict.trial import Trial


@pytest.fixture
def trial() -> Trial:
    """A lab in which nothing has happened yet."""
    return Trial()
