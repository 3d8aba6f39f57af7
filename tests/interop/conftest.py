"""Other people's clients in containers: these tests need a Docker Engine."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.interop.swarm import ROOT, Swarm, build_image
from torrentnet.lab.engines.docker import cleanup
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

REQUIRE = "TORRENTNET_REQUIRE_DOCKER"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests need an engine."""
    for item in items:
        if "interop" in item.path.parts:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def interop_client() -> Iterator[docker.DockerClient]:
    """The engine's client. Skips these tests, by name, where no engine answers; fails where one was promised."""
    engine = DockerEngine(ROOT)
    try:
        engine.check()
    except LabError as error:
        engine.close()
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but {error.message}", pytrace=False)
        pytest.skip(f"needs a Docker Engine: {error.message}")
    # What a killed run of these tests has left.
    cleanup.sweep(engine.client, lambda home, project: True)
    yield engine.client
    engine.close()


@pytest.fixture(scope="session")
def clients_image(interop_client: docker.DockerClient) -> str:
    """The image with aria2. Where it cannot be built (no package archive answers): as without an engine."""
    try:
        return build_image()
    except subprocess.SubprocessError as error:
        told = getattr(error, "stderr", "") or str(error)
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but the image with aria2 cannot be built:\n{told[-2000:]}", pytrace=False)
        pytest.skip(f"the image with aria2 cannot be built: {told.strip().splitlines()[-1][:200]}")


@pytest.fixture
def swarm(interop_client: docker.DockerClient, clients_image: str) -> Iterator[Swarm]:
    """A network without containers yet; nothing of it is left at the end."""
    made = Swarm(interop_client, clients_image)
    try:
        yield made
    finally:
        made.close()
    assert not cleanup.find(interop_client, made.project)
