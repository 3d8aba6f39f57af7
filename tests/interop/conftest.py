"""Other projects' clients in containers: these tests need a Docker Engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.interop.swarm import ROOT, Swarm
from torrentnet.lab.engines.docker import cleanup, images, labels
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

REQUIRE = "TORRENTNET_REQUIRE_DOCKER"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of these tests."""
    for item in items:
        if "interop" in item.path.parts:
            item.add_marker(pytest.mark.docker)


def skip_or_fail(error: LabError, need: str = "") -> NoReturn:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but {error.message}", pytrace=False)
    pytest.skip(need + error.message.splitlines()[0])


@pytest.fixture(scope="session")
def interop_client() -> Iterator[docker.DockerClient]:
    """Yield the engine's client.

    Without an engine, these tests are skipped, or fail if ``TORRENTNET_REQUIRE_DOCKER`` is 1.
    """
    engine = DockerEngine(ROOT)
    try:
        engine.check()
    except LabError as error:
        engine.close()
        skip_or_fail(error, "needs a Docker Engine: ")
    # A killed run of these tests may have left containers.
    cleanup.collect_orphans(engine.client, lambda home, project: True)
    yield engine.client
    engine.close()


@pytest.fixture(scope="session")
def clients_image(interop_client: docker.DockerClient) -> str:
    """Return the image with other projects' clients.

    If the image cannot be built, the tests are skipped or fail as without an engine.
    """
    try:
        return images.ensure_image(interop_client, ROOT, print, images.CLIENTS)
    except LabError as error:
        skip_or_fail(error)


@pytest.fixture
def swarm(interop_client: docker.DockerClient, clients_image: str) -> Iterator[Swarm]:
    """A network without containers; its removal leaves nothing behind."""
    made = Swarm(interop_client, clients_image)
    try:
        yield made
    finally:
        made.close()
    assert not cleanup.find(interop_client, f"{labels.LAB}={made.project}")
