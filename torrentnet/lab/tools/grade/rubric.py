"""A rubric: criteria with points, and the experiments that decide them.

Tested by tests/unit/lab/tools/grade/test_load_rubric.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.plan import Plan


class CreditRule(StrEnum):
    """How the points of a criterion are given."""

    ALL = "all"
    """All or none."""
    SHARE = "share"
    """By the share of the nodes on which what is expected holds."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What must hold for some points: places in the expectations of an experiment."""

    points: float
    all_of: tuple[int, ...]
    """Each of these must hold."""
    any_of: tuple[int, ...] = ()
    """One of these must hold; empty where there is no choice."""
    enough: int | None = None
    """On how many nodes each of ``all_of`` must hold; None for all of them."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the rubric."""

    key: str
    """``1``, ``15a``."""
    title: str
    experiment: str
    """Name of the :class:`Experiment` that decides it."""
    full: Demand
    partial: Demand | None = None
    """What gives some of the points where the full demand does not hold."""
    credit: CreditRule = CreditRule.ALL
    needs: tuple[str, ...] = ()
    """Keys of the criteria without which this one is not tried."""
    did: str = ""
    """What the grader does, as a sentence for the student."""
    expected: str = ""
    """What is expected, as a sentence for the student."""
    hint: str = ""
    """Where to look when it does not hold."""

    @property
    def points(self) -> float:
        """The most points."""
        return self.full.points


@dataclass(frozen=True, slots=True)
class Experiment:
    """A scenario with the expectations of all criteria that it decides."""

    name: str
    about: str
    document: dict[str, Any]
    """The scenario as plain data, all values as texts, ``expect`` included."""
    plan: Plan
    """Resolved with the lab's own programs: how long it takes, and how many nodes."""


@dataclass(frozen=True, slots=True)
class Rubric:
    """A whole rubric."""

    name: str
    about: str
    source: Path
    digest: str
    """SHA-256 of the file, in hexadecimal: marks of another rubric are not continued."""
    experiments: tuple[Experiment, ...]
    criteria: tuple[Criterion, ...]
    reference: Path | None = None
    """A submission that must get all points, before, during and after."""

    @property
    def points(self) -> float:
        """The most points."""
        return round(sum(criterion.points for criterion in self.criteria), 2)

    def of_experiment(self, name: str) -> tuple[Criterion, ...]:
        """Return the criteria that an experiment decides."""
        return tuple(criterion for criterion in self.criteria if criterion.experiment == name)
