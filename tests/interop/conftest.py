"""Other people's clients in containers: these tests need a Docker Engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.interop.swarm import ROOT, Swarm
from torrentnet.lab.engines.docker import cleanup, images
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
    cleanup.collect_orphans(engine.client, lambda home, project: True)
    yield engine.client
    engine.close()


@pytest.fixture(scope="session")
def clients_image(interop_client: docker.DockerClient) -> str:
    """The image with other people's clients. Where it cannot be built (no archive answers): as without an engine."""
    try:
        return images.ensure_image(interop_client, ROOT, print, images.CLIENTS)
    except LabError as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but {error.message}", pytrace=False)
        pytest.skip(error.message.splitlines()[0])


@pytest.fixture
def swarm(interop_client: docker.DockerClient, clients_image: str) -> Iterator[Swarm]:
    """A network without containers yet; nothing of it is left at the end."""
    made = Swarm(interop_client, clients_image)
    try:
        yield made
    finally:
        made.close()
    assert not cleanup.find(interop_client, made.project)
