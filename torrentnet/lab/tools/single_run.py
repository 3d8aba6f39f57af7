"""One lab of a sweep or a benchmark, from its first container to its last.

Tested by tests/integration/test_sweep.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.api import Lab
from torrentnet.lab.engines.selection import make_engine, require_engine
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.tools.distribution import measure_distribution
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.run.interrupts import InterruptHandler
    from torrentnet.lab.scenario.plan.plan import Plan
    from torrentnet.lab.tools.distribution import Distribution
    from torrentnet.lab.verdict.outcome import Outcome


def run_scenario(
    plan: Plan,
    engine_name: str,
    *,
    home: Path,
    runs: Path | None,
    interrupts: InterruptHandler | None = None,
    trust: bool = False,
) -> tuple[Outcome, Distribution | None]:
    """Bring a scenario up, run it, judge it and remove it.

    Returns the scenario's outcome and the file's distribution. The distribution is None where a node did not come up,
    which is a verdict. Raises LabError where the engine fails.
    """
    # Checked before anything is written: without an engine there is nothing to record.
    engine = make_engine(engine_name)
    engine.trusted = trust
    require_engine(engine)
    lab = Lab(plan, engine, home=home, runs=runs, interrupts=interrupts)
    distribution = None
    try:
        with lab:
            lab.play()
            distribution = measure_distribution(plan, lab.nodes, lab.measure)
    except LabError as error:
        # A failed engine will fail the next run too.
        if lab.outcome is None or lab.outcome.verdict is not Verdict.FAILED or isinstance(error, EngineError):
            raise
    assert lab.outcome is not None
    return lab.outcome, distribution
