"""Removal of labs: of those whose owner has died, and of the one that is up.

Tested by tests/integration/test_interrupt.py.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from torrentnet.lab.engines.selection import collect_orphans, make_engine
from torrentnet.lab.home import lab_store
from torrentnet.lab.home.dotenv import remove_env_block

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import ProgressCallback


def remove_orphans(engine: Engine, home: Path, report: ProgressCallback) -> list[str]:
    """Remove everything of labs whose owner was killed; return their projects."""
    removed = collect_orphans(engine, lab_store.is_finished)
    for lab in removed:
        report(f"removed what {lab.project} left behind")
        for directory in {home, lab.home or home}:
            _forget(directory, lab.project)
    for project in list(lab_store.orphaned_projects(home)):
        _forget(home, project)
    return [lab.project for lab in removed]


def take_down(engine: Engine, home: Path, report: ProgressCallback) -> lab_store.RunningLab | None:
    """Remove the lab that is up in ``home`` and return it; None where there is none.

    Afterwards the engine is bound to that lab and cannot create another.
    """
    running = lab_store.read_running_lab(home)
    if running is None:
        # A crash between two writes leaves a block in .env without a lab.
        remove_env_block(home)
        return None
    engine.adopt(running.project, missing_ok=True)
    engine.destroy(report)
    _forget(home, running.project)
    return running


def take_down_running_lab(home: Path, default_engine: str, report: ProgressCallback) -> None:
    """Make room for a new lab: remove the one that is up in ``home``, with the engine that it runs on."""
    running = lab_store.read_running_lab(home)
    if running is None:
        return
    report(f"{running.scenario} is up already; taking it down first")
    with contextlib.closing(make_engine(running.engine or default_engine)) as engine:
        engine.check()
        take_down(engine, home, report)


def _forget(home: Path, project: str) -> None:
    lab_store.remove_lab_directory(home, project)
    lab_store.forget_running_lab(home, project)
