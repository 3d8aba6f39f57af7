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
    """Yield a directory with a short path, for Unix sockets.

    A Unix address holds 107 bytes, and the paths of pytest's directories may be longer.
    """
    with tempfile.TemporaryDirectory(prefix="tn") as path:
        yield Path(path)
