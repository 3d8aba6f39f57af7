"""How memory is taken from the system."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
"""``mallopt(3)``."""
_LARGE: Final = 1024 * 1024


def give_large_blocks_back() -> None:
    """Let every block of a MiB or more be the kernel's own mapping, which grows in place and goes when it is freed.

    Else glibc puts such blocks on its heap as soon as one of that size was freed (``mallopt(3)``, on the dynamic
    threshold), and the columns and dictionaries of peers, which grow step by step, leave holes there: a sixth of all.
    Quietly nothing with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
