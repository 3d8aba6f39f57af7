"""Removing what earlier labs left behind: those of dead owners, and the one that is up in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab import state
from torrentnet.lab.engines.local import registry

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.engines.base import Engine
    from torrentnet.lab.engines.values import Say

LOCAL = "local"


def remove_orphans(engine: Engine, home: Path, say: Say) -> list[str]:
    """Remove everything of labs whose owner was killed before it could; answers with their projects."""
    swept = engine.sweep()
    if engine.name != LOCAL:
        # Files of processes that have ended: to look for them takes nothing, whatever runs the nodes today.
        swept += registry.sweep()
    for project in swept:
        say(f"removed what {project} left behind")
        state.remove_lab_directory(home, project)
        state.forget_up(home, project)
    for project in list(state.orphans(home)):
        state.remove_lab_directory(home, project)
        state.forget_up(home, project)
    return swept


def take_down(engine: Engine, home: Path, say: Say) -> state.UpLab | None:
    """Remove the lab that is up in ``home``; answers with it, or None where there is none.

    The engine is bound to that lab afterwards, and of no use for another one.
    """
    up = state.read_up(home)
    if up is None:
        # A block in .env without a lab is what a crash between two writes leaves.
        state.unset_env(home)
        return None
    engine.adopt(up.project, missing_ok=True)
    engine.destroy(say)
    state.remove_lab_directory(home, up.project)
    state.forget_up(home, up.project)
    return up
