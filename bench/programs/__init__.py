"""Programs that run in the benchmark's containers.

They are peers to compare with, and the load generators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PROGRAMS: Final = Path(__file__).parent
"""Where their files are; a container gets a copy of the one that it runs."""
