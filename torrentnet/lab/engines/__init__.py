"""The things that run a lab's nodes, behind one interface (:mod:`torrentnet.lab.engines.interface`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EngineError, UsageError
from torrentnet.lab.paths import PACKAGE, files_root

if TYPE_CHECKING:
    from torrentnet.lab.engines.interface import Engine

NAMES = ("docker", "local")
AUTO = "auto"
"""Docker where it answers, else local."""
DEFAULT = AUTO
ENVIRONMENT = "TORRENTNET_ENGINE"
"""Names the engine where the command line does not."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and why it is this one."""

    engine: Engine
    reason: str

    def __str__(self) -> str:
        return f"engine: {self.engine.name} ({self.reason})"


def preload_engines() -> None:
    """Import the engines, as :func:`choose` does else: a signal in the middle of an import leaves it half done."""
    import torrentnet.lab.engines.docker.engine
    import torrentnet.lab.engines.local.engine  # noqa: F401


def make_engine(name: str) -> Engine:
    """A new engine, for one lab. Raises UsageError for a name that there is not."""
    return choose_engine(name).engine


def choose_engine(name: str) -> EngineChoice:
    """The engine of this name; for ``auto`` what the environment names, else what this machine has.

    Raises UsageError for a name that there is not, EngineError where there is nothing to choose from.
    """
    wanted, source = name, f"`--engine {name}`"
    if name == AUTO and (named := os.environ.get(ENVIRONMENT, AUTO)) not in {"", AUTO}:
        wanted, source = named, f"{ENVIRONMENT}={named}"
    if wanted != AUTO:
        return EngineChoice(_make(wanted), source)
    docker = _make("docker")
    try:
        docker.check()
    except EngineError as missing:
        docker.close()
        local = _make("local")
        try:
            local.check()
        except EngineError as error:
            raise EngineError(f"{missing.message}; {error.message}", hint=missing.hint) from error
        return EngineChoice(local, missing.message)
    return EngineChoice(docker, "it answers")


def _make(name: str) -> Engine:
    if name == "docker":
        from torrentnet.lab.engines.docker.engine import DockerEngine

        return DockerEngine(files_root())
    if name == "local":
        from torrentnet.lab.engines.local.engine import LocalEngine

        return LocalEngine(PACKAGE.parent)
    raise UsageError(f"there is no engine `{name}`", hint=f"there are: {', '.join((*NAMES, AUTO))}")


def require_engine(engine: Engine) -> Engine:
    """The engine, which can work on this machine. Lets go of it and raises EngineError where it cannot."""
    try:
        engine.check()
    except BaseException:
        engine.close()
        raise
    return engine
