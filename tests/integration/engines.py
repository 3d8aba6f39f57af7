"""The engines that the integration tests run on.

There is one list of tests: most of them run on every engine that the machine has.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import ROOT, is_record
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.engines.local import diagnosis, protocol, registry
from torrentnet.lab.engines.local.engine import LocalEngine
from torrentnet.lab.errors import LabError
from torrentnet.lab.scenario.plan.plan import NodeProgram

if TYPE_CHECKING:
    from torrentnet.lab.engines.interface import Engine

FOREIGN = (NodeProgram.ARIA2, NodeProgram.TRANSMISSION, NodeProgram.LIBTORRENT, NodeProgram.OPENTRACKER)
NOWHERE = "unix:///nonexistent/docker.sock"
REQUIRE = "TORRENTNET_REQUIRE_DOCKER"
RUNTIME = Path(f"/tmp/tn-{os.getpid()}")
"""A registry of these tests' own, so that nothing of a person's labs is looked at."""


@dataclass(frozen=True)
class Kind:
    """An engine as a test knows it."""

    id: str
    name: str
    """On the command line."""
    network: str = ""
    """The way that its nodes are connected, where it has several."""
    user: str = "0:0"
    """The numbers of the user and the group that nodes run as, as they see it themselves."""
    hints: tuple[str, ...] = ()
    """What ``up`` tells a person to type."""

    def __str__(self) -> str:
        return self.id

    @property
    def isolates(self) -> bool:
        """Whether labs, and the nodes of a lab, are isolated from each other.

        If they are, two labs cannot reach each other, and what is set in a node's network concerns that node alone.
        """
        return self.network != protocol.LOOPBACK

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that make the command line use this engine.

        Only with the engine Docker may the command line look for a Docker Engine.
        """
        if self.name == "docker":
            return {"TORRENTNET_ENGINE": "docker"}
        return {"TORRENTNET_ENGINE": "local", diagnosis.NETWORK_VARIABLE: self.network, "DOCKER_HOST": NOWHERE}

    def make(self) -> Engine:
        """A new one, for one lab; the settings are in the environment."""
        return DockerEngine(ROOT) if self.name == "docker" else LocalEngine(ROOT)

    def left_over(self, home: Path) -> list[str]:
        """Everything that labs of a home have left."""
        found = [f"file {path.relative_to(home)}" for path in home.rglob("*") if not is_record(path, home)]
        return found + (_left_in_docker(home) if self.name == "docker" else _left_in_registry(home))


DOCKER = Kind("docker", "docker", user="10001:10001", hints=("docker compose ps", "make attach node=", "make down"))
_TO_TYPE = ("make status", "torrentnet attach tracker request logs", "make attach node=", "make down")
LOCAL = Kind("local", "local", protocol.NAMESPACES, hints=_TO_TYPE)
LOOPBACK = Kind("loopback", "local", protocol.LOOPBACK, hints=_TO_TYPE)


def _left_in_docker(home: Path) -> list[str]:
    engine = DockerEngine(ROOT)
    try:
        api = engine.client.api
        mine = {"label": f"{labels.HOME}={home}"}
        found = [f"container {row['Names']}" for row in api.containers(all=True, filters=mine)]
        found += [f"network {row['Name']}" for row in api.networks(filters=mine)]
        found += [f"volume {row['Name']}" for row in api.volumes(filters=mine)["Volumes"] or []]
    finally:
        engine.close()
    return found


def _left_in_registry(home: Path) -> list[str]:
    return [
        f"directory {entry.path}"
        for entry in registry.labs()
        # Without a lab in it, nobody can tell whose it is: then it counts.
        if entry.lab is None or Path(entry.lab.home) == home
    ]


@functools.cache
def why_missing(kind: Kind) -> str:
    """Why this machine does not have an engine; empty where it does."""
    if kind is DOCKER:
        engine = DockerEngine(ROOT)
        try:
            engine.check()
            engine.prepare(print)
        except LabError as error:
            return f"needs a Docker Engine: {error.message}"
        finally:
            engine.close()
        return ""
    try:
        LocalEngine(ROOT).check()
        # What forces one of the two ways would be an answer to another question.
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv(diagnosis.NETWORK_VARIABLE, raising=False)
            mode = diagnosis.find_network_mode(ROOT)
    except LabError as error:
        return f"needs the engine local: {error.message}"
    if kind is LOCAL and mode.network != protocol.NAMESPACES:
        return f"needs network namespaces: {mode.reason}"
    return ""


def need(kind: Kind) -> None:
    """Skip the test where this machine does not have the engine it needs.

    The reason for the skip names what is missing. The test fails instead where Docker was promised.
    """
    missing = why_missing(kind)
    if missing and kind is DOCKER and os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but it {missing}", pytrace=False)
    if missing:
        pytest.skip(missing)


_PARAMETERS = {
    DOCKER: pytest.param(DOCKER, id="docker", marks=pytest.mark.docker),
    LOCAL: pytest.param(LOCAL, id="local"),
    LOOPBACK: pytest.param(LOOPBACK, id="loopback"),
}
EVERY = (_PARAMETERS[DOCKER], _PARAMETERS[LOCAL])
"""What a test runs on that says nothing else."""


def on(*kinds: Kind) -> pytest.MarkDecorator:
    """Run a test, or all of a module, on these engines."""
    return pytest.mark.parametrize("engine", [_PARAMETERS[kind] for kind in kinds], indirect=True)


on_all = on(DOCKER, LOCAL, LOOPBACK)
each = pytest.mark.parametrize("kind", _PARAMETERS.values())
"""For tests that set nothing in their own environment, because they look at several engines at once."""


def leaves_a_dead_lab(*kinds: Kind) -> pytest.MarkDecorator:
    """As :func:`on`, for tests that kill a lab: on Docker they are alone.

    There the next start of any lab on the machine removes what such a test has left, and by what such a test starts
    that of others is removed. The engine local has a registry of the tests' own.
    """
    alone = pytest.param(DOCKER, id="docker", marks=[pytest.mark.docker, pytest.mark.alone])
    return pytest.mark.parametrize(
        "engine", [alone if kind is DOCKER else _PARAMETERS[kind] for kind in kinds], indirect=True
    )


@functools.cache
def why_no_programs() -> str:
    """Return why Docker's image with other projects' programs is not available.

    The text is empty where the image is available.

    To build it for the first time, from Debian's packages, may take longer than a test waits for a lab.
    """
    engine = DockerEngine(ROOT)
    try:
        engine.check()
        engine.prepare_programs([*FOREIGN], print)
    except LabError as error:
        return f"needs the image with real clients: {error.message}"
    finally:
        engine.close()
    return ""


def need_programs() -> None:
    """Skip the test where the image with real clients is not available.

    The reason for the skip names what is missing. The test fails instead where Docker was promised.
    """
    why = why_no_programs()
    if why and os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but it {why}", pytrace=False)
    elif why:
        pytest.skip(why.splitlines()[0])
