"""Removing what earlier labs left behind: those of dead owners, and the one that is up in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.engines.local import registry
from torrentnet.lab.home import lab_store
from torrentnet.lab.home.dotenv import remove_env_block

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import ProgressCallback

LOCAL = "local"


def remove_orphans(engine: Engine, home: Path, say: ProgressCallback) -> list[str]:
    """Remove everything of labs whose owner was killed before it could; answers with their projects."""
    swept = engine.sweep()
    if engine.name != LOCAL:
        # Files of processes that have ended: to look for them takes nothing, whatever runs the nodes today.
        swept += registry.collect_orphans()
    for project in swept:
        say(f"removed what {project} left behind")
        lab_store.remove_lab_directory(home, project)
        lab_store.forget_running_lab(home, project)
    for project in list(lab_store.orphaned_projects(home)):
        lab_store.remove_lab_directory(home, project)
        lab_store.forget_running_lab(home, project)
    return swept


def take_down(engine: Engine, home: Path, say: ProgressCallback) -> lab_store.RunningLab | None:
    """Remove the lab that is up in ``home``; answers with it, or None where there is none.

    The engine is bound to that lab afterwards, and of no use for another one.
    """
    up = lab_store.read_running_lab(home)
    if up is None:
        # A block in .env without a lab is what a crash between two writes leaves.
        remove_env_block(home)
        return None
    engine.adopt(up.project, missing_ok=True)
    engine.destroy(say)
    lab_store.remove_lab_directory(home, up.project)
    lab_store.forget_running_lab(home, up.project)
    return up
