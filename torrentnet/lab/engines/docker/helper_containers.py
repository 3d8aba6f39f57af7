"""Helper containers beside the nodes' containers.

They have the lab's labels, so that they do not outlive their owner for long.

Tested by tests/integration/test_network_calibration.py.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import docker.types

from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.types import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from ipaddress import IPv4Network

SCRATCH_PROJECT: Final = "torrentnet-trial-"
IDLE_COMMAND: Final = ["sleep", "infinity"]


@contextlib.contextmanager
def scratch_container(client: docker.DockerClient, image: str) -> Iterator[str]:
    """Run an idle container of the nodes' image without a network; yields its id."""
    project = SCRATCH_PROJECT + secrets.token_hex(3)
    container = create_helper(client, image, {labels.LAB: project, **labels.owner_labels(Mode.RUN)})
    try:
        client.api.start(container)
        yield container
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            client.api.remove_container(container, v=True, force=True)


@contextlib.contextmanager
def scratch_network(
    client: docker.DockerClient, image: str, settings: Mapping[str, Any], subnet: IPv4Network
) -> Iterator[str]:
    """Run an idle container in a network of its own; yields its id.

    ``settings`` are those of a network in a Compose file.
    """
    project = SCRATCH_PROJECT + secrets.token_hex(3)
    own = {labels.LAB: project, **labels.owner_labels(Mode.RUN)}
    pool = docker.types.IPAMPool(subnet=str(subnet))
    network = client.api.create_network(
        project,
        driver=settings["driver"],
        internal=settings["internal"],
        options=settings["driver_opts"],
        ipam=docker.types.IPAMConfig(pool_configs=[pool]),
        labels=own,
    )["Id"]
    try:
        container = create_helper(client, image, own, network=network)
        try:
            client.api.start(container)
            yield container
        finally:
            client.api.remove_container(container, v=True, force=True)
    finally:
        client.api.remove_network(network)


def hold_volumes(
    client: docker.DockerClient, image: str, container_labels: Mapping[str, str], volumes: Sequence[str]
) -> None:
    """Start an idle container that has these volumes.

    So their contents outlive the nodes' programs.
    """
    binds = {name: {"bind": f"/run/torrentnet/{index}", "mode": "ro"} for index, name in enumerate(volumes)}
    client.api.start(create_helper(client, image, container_labels, binds=binds, lasting=True))


def create_helper(
    client: docker.DockerClient,
    image: str,
    container_labels: Mapping[str, str],
    capabilities: Sequence[str] = (),
    pid_mode: str = "",
    binds: Mapping[str, Mapping[str, str]] | None = None,
    network: str = "none",
    *,
    lasting: bool = False,
) -> str:
    """Create an idle container with these capabilities only; returns its id.

    A ``lasting`` one is started again when its process is killed, but not when the engine is.
    """
    host = client.api.create_host_config(
        network_mode=network,
        cap_drop=["ALL"],
        cap_add=list(capabilities),
        pid_mode=pid_mode or None,
        # An engine with user namespaces shares its processes only outside of them.
        userns_mode="host" if pid_mode == "host" else None,
        read_only=True,
        security_opt=["no-new-privileges:true"],
        tmpfs={"/run/torrentnet": "mode=1777,size=1m"},
        binds=dict(binds or {}),
        restart_policy={"Name": "on-failure"} if lasting else None,
    )
    created = client.api.create_container(
        image, IDLE_COMMAND, labels=dict(container_labels), host_config=host, user="0"
    )
    return str(created["Id"])
