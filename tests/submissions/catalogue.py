"""Every submission by name: the right one, mutants and odd ones."""

from __future__ import annotations

from typing import Final

from tests.submissions.build import Submission
from tests.submissions.mutants import MUTANTS as _MUTANTS
from tests.submissions.odd import ODD as _ODD
from tests.submissions.students import STUDENTS

PLAIN: Final = Submission("right: all marks")
MUTANTS: Final[dict[str, Submission]] = {**_MUTANTS, **STUDENTS}
"""One thing is wrong with each."""
ODD: Final[dict[str, Submission]] = dict(_ODD)
"""Right in an unusual way."""
ALL: Final[dict[str, Submission]] = {"plain": PLAIN, **MUTANTS, **ODD}
