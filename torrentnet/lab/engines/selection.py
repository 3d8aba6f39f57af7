"""Which engine runs a lab's nodes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import EngineError, UsageError
from torrentnet.lab.paths import PACKAGE, files_root, runtime_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import RemovedLab

LOCAL: Final = "local"
NAMES: Final = ("docker", LOCAL)
AUTO: Final = "auto"
"""Docker where a Docker Engine answers, else local."""
DEFAULT: Final = AUTO
ENVIRONMENT: Final = "TORRENTNET_ENGINE"
"""Variable that names the engine where the command line does not."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and why it was chosen."""

    engine: Engine
    reason: str

    def __str__(self) -> str:
        return f"engine: {self.engine.name} ({self.reason})"


def preload_engines(name: str) -> None:
    """Import the engines that ``name`` may stand for now.

    A signal during the import that :func:`choose_engine` does would leave the import half done.
    """
    import torrentnet.lab.engines.local.engine

    if _wanted(name) != LOCAL:
        import torrentnet.lab.engines.docker.engine  # noqa: F401


def _wanted(name: str) -> str:
    """Return the engine that ``name`` stands for where the environment may choose."""
    return os.environ.get(ENVIRONMENT) or AUTO if name == AUTO else name


def make_engine(name: str) -> Engine:
    """Return a new engine, for one lab. Raises UsageError for an unknown name."""
    return choose_engine(name).engine


def choose_engine(name: str) -> EngineChoice:
    """Return the engine of this name, or a working one for ``auto``.

    For ``auto`` it is the engine that the environment names, else one that works here. Raises UsageError for an unknown
    name, EngineError where no engine works on this machine.
    """
    wanted = _wanted(name)
    if wanted != AUTO:
        return EngineChoice(_make(wanted), f"{ENVIRONMENT}={wanted}" if name == AUTO else f"`--engine {name}`")
    docker = _make("docker")
    try:
        docker.check()
    except EngineError as missing:
        docker.close()
        local = _make(LOCAL)
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
    if name == LOCAL:
        from torrentnet.lab.engines.local.engine import LocalEngine

        return LocalEngine(PACKAGE.parent)
    raise UsageError(f"there is no engine `{name}`", hint=f"there are: {', '.join((*NAMES, AUTO))}")


def require_engine(engine: Engine) -> Engine:
    """Return the engine if it works on this machine.

    Otherwise close the engine and raise EngineError.
    """
    try:
        engine.check()
    except BaseException:
        engine.close()
        raise
    return engine


def collect_orphans(engine: Engine, is_finished: Callable[[Path, str], bool]) -> list[RemovedLab]:
    """Remove the labs of dead owners that ``engine`` or the local engine made.

    See :meth:`Engine.collect_orphans`. The local engine leaves only files: it is needed only where there are any.
    """
    removed = engine.collect_orphans(is_finished)
    if engine.name != LOCAL and any(path.is_dir() for path in runtime_folder().glob("*")):
        removed += _make(LOCAL).collect_orphans(is_finished)
    return removed
