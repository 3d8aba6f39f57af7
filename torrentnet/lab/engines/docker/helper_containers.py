"""Containers beside the nodes: one to try things in, and one that reaches the networks of many nodes by one command.

Both carry the labels of what labs make, so that nothing of them outlives their owner for long.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import docker.errors

import docker
from torrentnet.lab.engines.docker import batch_exec, container_exec, labels
from torrentnet.lab.engines.owner import Owner, pid_namespace
from torrentnet.lab.engines.types import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torrentnet.lab.engines.docker.batch_exec import Result

TRIAL = "torrentnet-trial-"
IDLE_COMMAND = ["sleep", "infinity"]
TIMEOUT = 30.0


def owner_labels(mode: Mode, home: Path) -> dict[str, str]:
    """Labels that say whose something is."""
    return {
        labels.OWNER: str(Owner.myself()),
        labels.PID_NAMESPACE: pid_namespace(),
        labels.MODE: str(mode),
        labels.HOME: str(home),
    }


@contextlib.contextmanager
def scratch_container(client: docker.DockerClient, image: str, home: Path) -> Iterator[str]:
    """A container of the nodes' image with nothing to do and no network; answers with its id."""
    marks = {labels.LAB: TRIAL + secrets.token_hex(3), **owner_labels(Mode.RUN, home)}
    ident = _create(client, image, marks)
    try:
        client.api.start(ident)
        yield ident
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            client.api.remove_container(ident, v=True, force=True)


def _create(
    client: docker.DockerClient, image: str, marks: Mapping[str, str], rights: Sequence[str] = (), pid_mode: str = ""
) -> str:
    host = client.api.create_host_config(
        network_mode="none",
        cap_drop=["ALL"],
        cap_add=list(rights),
        pid_mode=pid_mode or None,
        read_only=True,
        security_opt=["no-new-privileges:true"],
        tmpfs={"/run/torrentnet": "mode=1777,size=1m"},
    )
    return str(client.api.create_container(image, IDLE_COMMAND, labels=dict(marks), host_config=host, user="0")["Id"])


class BatchExecHelper:
    """Runs scripts in the network namespaces of many nodes. See :mod:`torrentnet.lab.engines.docker.batch_exec`."""

    def __init__(
        self, client: docker.DockerClient, image: str, marks: Mapping[str, str], pid: Callable[[str], int]
    ) -> None:
        """Make it and start it. ``pid``: the id of a node's program, as the engine's machine counts."""
        self._client = client
        self._pid = pid
        self._ident = _create(client, image, marks, batch_exec.CAPABILITIES, "host")
        client.api.start(self._ident)

    def __call__(self, scripts: Mapping[str, str]) -> Mapping[str, Result]:
        """See :class:`together.RunMany`."""
        work = {node: (self._pid(node), script) for node, script in scripts.items()}
        answer = container_exec.run(
            self._client, self._ident, batch_exec.command(), timeout=TIMEOUT, stdin=batch_exec.encode(work)
        )
        return batch_exec.decode(answer.status, answer.stdout, answer.stderr, work)

    def remove(self) -> None:
        """Take it away, if it has not gone with its lab."""
        with contextlib.suppress(docker.errors.NotFound):
            self._client.api.remove_container(self._ident, v=True, force=True)
