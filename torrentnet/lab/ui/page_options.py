"""How a live page is served.

Tested by tests/unit/lab/ui/test_session.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 6780


@dataclass(frozen=True, slots=True)
class PageOptions:
    """How a page is served."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    open_browser: bool = False
    read_only: bool = False
    allow_control: bool = False
    """Whether other machines may change the lab, where they reach the page at all."""
