"""The right program meets every criterion; each mutant shows its fault."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.submissions.catalogue import ALL, MUTANTS, ODD
from tests.submissions.checks import CHECKS, Checks

if TYPE_CHECKING:
    from collections.abc import Iterator

POINTS = {"18": 6}
"""Points of a criterion that may get some of them."""
RIGHT = [("plain", number) for number in CHECKS] + [
    (name, number) for name in ODD for number in ("2", "8", "13", "15a", "18")
]
WRONG = [(name, number) for name in MUTANTS for number in sorted(MUTANTS[name].lost) if name != "forger"]
CASES = [*RIGHT, *WRONG, ("forger", "1"), ("forger", "2"), ("forger", "10"), ("forger", "14")]
Results = dict[tuple[str, str], Future[float]]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Run the checks of all selected tests at the same time: they mostly wait."""
    chosen = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    top = tmp_path_factory.mktemp("submissions")

    def run(case: tuple[str, str]) -> float:
        name, number = case
        directory = top / f"{name}-{number}"
        directory.mkdir()
        return CHECKS[number](Checks(ALL[name], directory, right=case in RIGHT, loopback=name == "binds_loopback"))

    # What waits longest is first: for something that does not happen.
    waiting = {(name, number) for name, number in WRONG if number in {"2", "4", "8", "10", "17", "18", "19"}}
    waiting |= {case for case in CASES if case[0] == "forger" or case[1] in {"4", "11", "12"}}
    with ThreadPoolExecutor(28) as pool:
        order = sorted((case for case in CASES if case in chosen), key=lambda case: case not in waiting)
        yield {case: pool.submit(run, case) for case in order}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_submission_gets_what_it_deserves(case: tuple[str, str], results: Results) -> None:
    name, number = case
    full = POINTS.get(number, 1)
    assert round(results[case].result() * full, 3) == ALL[name].left.get(number, full)
