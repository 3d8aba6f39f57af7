"""The things that run a lab's nodes, behind one interface (:mod:`torrentnet.lab.engines.base`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.errors import UsageError

if TYPE_CHECKING:
    from torrentnet.lab.engines.base import Engine

NAMES = ("docker",)
DEFAULT = "docker"


def make_engine(name: str) -> Engine:
    """A new engine, for one lab. Raises UsageError for a name that there is not."""
    from torrentnet.lab.engines.docker.engine import DockerEngine
    from torrentnet.lab.state import root

    if name != DockerEngine.name:
        raise UsageError(f"there is no engine `{name}`", hint=f"there are: {', '.join(NAMES)}")
    return DockerEngine(root())
