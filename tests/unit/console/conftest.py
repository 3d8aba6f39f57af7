"""What the console's tests share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path: a Unix address holds 107 bytes, and pytest's paths may be longer."""
    with tempfile.TemporaryDirectory(prefix="tn") as path:
        yield Path(path)
