"""One lab of a sweep or a benchmark, from its first container to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.api import Lab
from torrentnet.lab.engines import make_engine, require_engine
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.tools import distribution
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.run.interrupts import InterruptHandler
    from torrentnet.lab.scenario.plan import Plan
    from torrentnet.lab.tools.distribution import Distribution
    from torrentnet.lab.verdict.outcome import Outcome


def run_scenario(
    plan: Plan, engine_name: str, *, home: Path, runs: Path | None, interrupts: InterruptHandler | None = None
) -> tuple[Outcome, Distribution | None]:
    """Bring a scenario up, let it happen, judge it, remove it; the outcome, and how the file got around.

    There is no spreading where a node did not come up: that is a verdict. Raises LabError where the engine failed.
    """
    # Before anything is written: without an engine there is nothing to record.
    engine = require_engine(make_engine(engine_name))
    lab = Lab(plan, engine, home=home, runs=runs, interrupts=interrupts)
    seen = None
    try:
        with lab:
            lab.play()
            seen = distribution.measure_distribution(plan, lab.board, lab.faults.measure)
    except LabError as error:
        # An engine that failed will not do better next time.
        if lab.ended is None or lab.ended.verdict is not Verdict.FAIL or isinstance(error, EngineError):
            raise
    assert lab.ended is not None
    return lab.ended, seen
