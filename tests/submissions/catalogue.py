"""Every submission by name: the right one, mutants and odd ones."""

from __future__ import annotations

from typing import Final

from tests.submissions.build import Submission

PLAIN: Final = Submission("right: all marks")
MUTANTS: Final[dict[str, Submission]] = {}
"""One thing is wrong with each."""
ODD: Final[dict[str, Submission]] = {}
"""Right in an unusual way: all marks."""


def find(name: str) -> Submission:
    """Return the submission of a name; ``plain`` is the right one."""
    return ({"plain": PLAIN} | MUTANTS | ODD)[name]
