"""How a request ended, in words: for the request log, and for the log of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.runtime.units import format_size
from torrentnet.tracker.journal.records import RequestState

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAITING: Final = RequestState.WAITING.value
_SUCCEEDED, _LOST = RequestState.SUCCEEDED.value, RequestState.LOST.value


def describe_outcome(result: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """An outcome as a person reads it: ``succeeded from seeder-2 (8 MiB in 0.12 s)``, ``lost with the peer``."""
    if result == _WAITING:
        return "waiting"
    if result == _LOST:
        return "lost with the peer"
    if result == _SUCCEEDED:
        return f"succeeded {_success(names, transferred, elapsed_ms)}"
    text = f"failed: {reason}" if reason else "failed"
    return f"{text} ({format_size(transferred)} from {', '.join(names)})" if names else text


def describe_detail(result: str, names: Sequence[str], transferred: int, elapsed_ms: int, reason: str) -> str:
    """The same behind the word for it, in the log of a file."""
    if result == _SUCCEEDED:
        return _success(names, transferred, elapsed_ms)
    if result == _LOST or not names:
        return reason
    return f"{reason} ({format_size(transferred)} from {', '.join(names)})".lstrip()


def describe_holders(total: int) -> str:
    """How many had a file when it was asked for."""
    return f"{total} have it whole" if total else "nobody has it whole"


def _success(names: Sequence[str], transferred: int, elapsed_ms: int) -> str:
    amount = f"({format_size(transferred)} in {elapsed_ms / 1000:.2f} s)"
    return f"from {', '.join(names)} {amount}" if names else amount
