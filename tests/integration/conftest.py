"""Real labs for the integration tests, on every engine that the machine has.

The engines are listed in ``engines``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import DOCKER, EVERY, RUNTIME, Kind, need
from tests.integration.helpers import ROOT, SCENARIOS
from torrentnet.lab import paths
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.engines.local import registry
from torrentnet.lab.scenario.load import load_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker


@pytest.fixture(scope="session", autouse=True)
def runtime() -> Iterator[Path]:
    """Where the engine local keeps the labs of these tests; empty at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.RUNTIME_VARIABLE, str(RUNTIME))
        yield RUNTIME
    left = [entry.name for entry in RUNTIME.iterdir() if entry.name != registry.LOCK] if RUNTIME.exists() else []
    (RUNTIME / registry.LOCK).unlink(missing_ok=True)
    if RUNTIME.exists() and not left:
        RUNTIME.rmdir()
    assert not left


@pytest.fixture(scope="module", params=EVERY)
def engine(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """Return the engine that a test runs on.

    The environment makes the command line use the same engine.
    """
    kind: Kind = request.param
    need(kind)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kind.settings.items():
            patch.setenv(name, value)
        yield kind


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """The SDK's client, to look from outside."""
    need(DOCKER)
    engine = DockerEngine(ROOT)
    yield engine.client
    engine.close()


@pytest.fixture
def home(tmp_path: Path, engine: Kind) -> Iterator[Path]:
    """A home directory for labs; nothing of them is left at the test's end."""
    path = tmp_path / "home"
    path.mkdir()
    yield path
    assert not engine.left_over(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, engine: Kind) -> Iterator[Lab]:
    """Start a lab that the tests of one module drive by hand.

    The tracker and three seeders are up.
    """
    path = tmp_path_factory.mktemp("home")
    with Lab(load_plan(SCENARIOS / "small.yaml"), engine.make(), home=path) as lab:
        yield lab
    assert not engine.left_over(path)
