"""Labs for the integration tests: real containers on a real Docker Engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import ROOT, SCENARIOS, left_over
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.errors import LabError
from torrentnet.lab.lab import Lab
from torrentnet.lab.scenario import load_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

REQUIRE = "TORRENTNET_REQUIRE_DOCKER"
WITHOUT_DOCKER = {"test_local_engine.py"}
"""What runs on the engine `local`; what of it needs Docker beside that is marked there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests need Docker, but for those of the other engine."""
    for item in items:
        if "integration" in item.path.parts and item.path.name not in WITHOUT_DOCKER:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session", autouse=True)
def engine_answers() -> None:
    """Skip all of these tests, by name, where no engine answers; fail where one was promised."""
    engine = DockerEngine(ROOT)
    try:
        engine.check()
        engine.prepare(print)
    except LabError as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but {error.message}", pytrace=False)
        pytest.skip(f"needs a Docker Engine: {error.message}")
    finally:
        engine.close()


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """The SDK's client, to look from outside."""
    engine = DockerEngine(ROOT)
    yield engine.client
    engine.close()


@pytest.fixture
def home(tmp_path: Path, client: docker.DockerClient) -> Iterator[Path]:
    """A home directory for labs; nothing of them is left at the test's end."""
    path = tmp_path / "home"
    path.mkdir()
    yield path
    assert not left_over(client, path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient) -> Iterator[Lab]:
    """A lab with the tracker and three seeders up, for the tests of one module to drive by hand."""
    path = tmp_path_factory.mktemp("home")
    with Lab(load_plan(SCENARIOS / "small.yaml"), DockerEngine(ROOT), home=path) as lab:
        yield lab
    assert not left_over(client, path)
