"""The error of a text that is not a value of its kind.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations


class InvalidValueError(ValueError):
    """A text that is not a value of its kind: ``text`` says what is wrong, ``hint`` what to write."""

    def __init__(self, text: str, hint: str = "", item: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.item = item
        """Index of the wrong item, where the value is a list."""
