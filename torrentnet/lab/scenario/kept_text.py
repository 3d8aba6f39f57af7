"""The text of a scenario in the record of its run.

The scenario's file may change, or be no file at all.

Tested by tests/unit/lab/ui/clicking/test_saved_scenario.py.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from torrentnet.lab.paths import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "scenario.yaml"
MAX_CHARS: Final = 256 * 1024


def keep_text(source: Path, record: Path) -> None:
    """Copy a scenario's text into a record; a pipe has given its text already."""
    with contextlib.suppress(OSError, ValueError):
        if source.is_file():
            with source.open(encoding="utf-8-sig") as file:
                write_atomically(record / FILE, file.read(MAX_CHARS))


def kept_text(record: Path) -> str:
    """Return the scenario's text; empty where the record has none."""
    with contextlib.suppress(OSError, ValueError):
        return (record / FILE).read_text(encoding="utf-8")
    return ""
