"""How a request ended, in words: for the request log, and for the log of its file.

Tested by tests/unit/tracker/test_commands.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.runtime.units import format_size
from torrentnet.tracker.journal.records import RequestState

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAITING: Final = RequestState.WAITING.value
_SUCCEEDED: Final = RequestState.SUCCEEDED.value
_LOST: Final = RequestState.LOST.value


def describe_outcome(state: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """Describe an outcome for the request log: ``succeeded from seeder-2 (8 MiB in 0.12 s)``."""
    if state == _WAITING:
        return "waiting"
    if state == _LOST:
        return "lost with the peer"
    if state == _SUCCEEDED:
        return f"succeeded {_describe_success(names, transferred, elapsed_ms)}"
    text = f"failed: {reason}" if reason else "failed"
    return f"{text} ({format_size(transferred)} from {', '.join(names)})" if names else text


def describe_detail(state: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """Describe an outcome for the log of a file, where the state has a column of its own."""
    if state == _SUCCEEDED:
        return _describe_success(names, transferred, elapsed_ms)
    if state == _LOST or not names:
        return reason
    return f"{reason} ({format_size(transferred)} from {', '.join(names)})".lstrip()


def describe_holders(count: int) -> str:
    """Describe how many complete peers a request found."""
    return f"{count or 'no'} complete {'holder' if count == 1 else 'holders'}"


def _describe_success(names: Sequence[str], transferred: int, elapsed_ms: int) -> str:
    amount = f"({format_size(transferred)} in {elapsed_ms / 1000:.2f} s)"
    return f"from {', '.join(names)} {amount}" if names else amount
