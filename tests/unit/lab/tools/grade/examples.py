"""A small rubric, and attempts at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from torrentnet.lab.tools.grade.marks import Answer, Attempt, Kind
from torrentnet.lab.tools.grade.results import GradingKey
from torrentnet.lab.tools.grade.rubric import CreditRule, Criterion, Demand, Experiment, Rubric

KEY = GradingKey("r", "s", 1, "0")
STARTS = Criterion("1", "starts", "first", Demand(4, (0,)))
SHARED = Criterion("2", "copies", "first", Demand(10, (1,)), credit=CreditRule.SHARE, needs=("1",))
CHOICE = Criterion("3", "choice", "second", Demand(6, (0,), enough=2), Demand(3, (1,)), needs=("1",))
TOLD = Criterion("4", "told", "second", Demand(5, (1,), any_of=(2, 3)), needs=("3",))
PLAN = cast("Any", None)


def rubric(*criteria: Criterion) -> Rubric:
    """Return a rubric with these criteria."""
    experiments = tuple(Experiment(name, f"about {name}", {}, PLAN) for name in ("first", "second"))
    return Rubric("small", "A small rubric.", Path("small.yaml"), "digest", experiments, criteria)


def judged(*expectations: str) -> Attempt:
    """Return an attempt, with a sign for each node.

    ``+`` is a node that passed, ``-`` one that did not, ``?`` one that could not be read.
    """
    answers = tuple(
        tuple(Answer(f"node-{at}", sign == "+", f"saw {sign}", sign != "?") for at, sign in enumerate(signs, 1))
        for signs in expectations
    )
    return Attempt(Kind.JUDGED, answers, record="attempts/it/first-1/runs/first/T")
