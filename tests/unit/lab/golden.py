"""Texts that people read, as files.

``TORRENTNET_GOLDEN=write pytest`` writes them anew; read the difference then.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(name: str, text: str, folder: Path = FOLDER) -> None:
    """Compare a text with the file of that name."""
    path = folder / name
    if os.environ.get("TORRENTNET_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
