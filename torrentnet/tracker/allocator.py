"""Settings of the C library's allocator.

Tested by tests/unit/tracker/test_main.py.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Parameters of ``mallopt(3)``."""
_LARGE_BLOCK: Final = 1024 * 1024
_MAX_TRIM: Final = 8 * 1024 * 1024
"""Free bytes at the end of the heap that the process keeps, so that it need not request them again."""


def release_large_blocks() -> None:
    """Let the kernel map each block of a MiB or more by itself: it grows in place and is returned when freed.

    Otherwise glibc puts such blocks on its heap once one of that size was freed (``mallopt(3)``, the dynamic
    threshold), and the columns and dictionaries of peers, which grow step by step, leave a sixth of the memory as
    holes. Does nothing with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        library.mallopt(_M_TRIM_THRESHOLD, _MAX_TRIM)
