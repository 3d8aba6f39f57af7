"""The benchmarks: measurements side by side with other programs (``make bench``).

Nothing here is a test, and nothing asserts a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
"""The checkout: its sources are measured, and its page is written."""
