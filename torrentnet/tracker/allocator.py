"""How memory is taken from the system."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""``mallopt(3)``."""
_LARGE: Final = 1024 * 1024
_SPARE: Final = 8 * 1024 * 1024
"""Bytes at the heap's end that stay the program's, so that it does not ask for the same ones over and over."""


def release_large_blocks() -> None:
    """Let every block of a MiB or more be the kernel's own mapping, which grows in place and goes when it is freed.

    Else glibc puts such blocks on its heap as soon as one of that size was freed (``mallopt(3)``, on the dynamic
    threshold), and the columns and dictionaries of peers, which grow step by step, leave holes there: a sixth of all.
    Quietly nothing with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _SPARE)
