"""Suggest a known word for one that is not known."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that looks most like ``word``, or None where none does."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "allowed here") -> str:
    """Return a hint: ``did you mean `pause`?``, or ``otherwise`` and the known words."""
    words = list(known)
    if close := closest(word, words):
        return f"did you mean `{close}`?"
    return f"{otherwise}: " + ", ".join(f"`{name}`" for name in words)
