"""The containers of one lab's nodes, and the operations on them.

The module knows the containers' ids, addresses, states and processes.

Tested by tests/integration/test_verbs.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import docker.errors
import requests

from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.compose import DATA, FILES
from torrentnet.lab.engines.docker.connection import error_reason, translate_errors
from torrentnet.lab.engines.types import NodeLocation, NodeState, NodeStatus
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_GRACE: Final = 10
"""Seconds between SIGTERM and SIGKILL, as in docker-compose.yml; the Engine API accepts whole seconds only."""
STATUSES: Final = {
    "created": NodeStatus.CREATED,
    "running": NodeStatus.RUNNING,
    "restarting": NodeStatus.RUNNING,
    "paused": NodeStatus.PAUSED,
    "exited": NodeStatus.EXITED,
    "dead": NodeStatus.EXITED,
    "removing": NodeStatus.GONE,
}


class NodeContainers:
    """The containers of one lab, by node.

    Every method raises EngineError where Docker refuses or does not answer.
    """

    def __init__(self, client: Callable[[], docker.DockerClient]) -> None:
        """``client`` connects at its first call."""
        self._client = client
        self.project = ""
        self.ids: dict[str, str] = {}
        self.locations: dict[str, NodeLocation] = {}
        self.programs: dict[str, str] = {}
        """The label :data:`labels.PROGRAM` of the nodes that have it."""
        self._killed: set[str] = set()
        """Nodes whose end after a SIGKILL has not been confirmed yet."""
        self._pids: dict[str, int] = {}
        """Process ids of the nodes' programs that are alive."""

    def find(self) -> None:
        """Look up the containers of the lab ``project``."""
        api = self._client().api
        with translate_errors("looking for the lab's nodes"):
            for row in api.containers(all=True, filters={"label": f"{labels.LAB}={self.project}"}):
                node = row["Labels"].get(labels.NODE)
                if node is None:
                    continue  # a helper container
                self.ids[node] = row["Id"]
                if labels.PROGRAM in row["Labels"]:
                    self.programs[node] = row["Labels"][labels.PROGRAM]
                if node not in self.locations:
                    networks = api.inspect_container(row["Id"])["NetworkSettings"]["Networks"].values()
                    address = next(
                        (entry["IPAMConfig"]["IPv4Address"] for entry in networks if entry.get("IPAMConfig")), ""
                    )
                    self.locations[node] = NodeLocation(address, FILES, DATA)

    def id(self, node: str) -> str:
        """Return the id of a node's container."""
        try:
            return self.ids[node]
        except KeyError:
            raise EngineError(f"the lab {self.project} has no node {node}") from None

    def pid(self, node: str) -> int:
        """Return the process id of a node's program, as the engine's machine numbers it."""
        if node not in self._pids:
            self._pids[node] = self._client().api.inspect_container(self.id(node))["State"]["Pid"]
        return self._pids[node]

    def state(self, node: str) -> NodeState:
        """Return a node's state; GONE where its container was removed."""
        api = self._client().api
        try:
            if node in self._killed:
                # The engine confirms a kill before it has seen the end, and says "running" until then.
                api.wait(self.id(node), timeout=STOP_GRACE)
                self._killed.discard(node)
            found = api.inspect_container(self.id(node))["State"]
        except docker.errors.NotFound:
            return NodeState(NodeStatus.GONE)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineError(f"the state of {node}: {error_reason(error)}") from error
        status = STATUSES.get(found["Status"])
        if status is None:
            raise EngineError(f"the state of {node}: Docker reports `{found['Status']}`, which is not known")
        return NodeState(status, int(found["ExitCode"]) if status is NodeStatus.EXITED else None)

    def incarnation(self, node: str) -> str:
        """Return the container's id and the time of its last start."""
        with translate_errors(f"the state of {node}"):
            found = self._client().api.inspect_container(self.id(node))
        return f"{found['Id']} {found['State']['StartedAt']}"

    def control(self, verb: str, node: str) -> None:
        """Start, kill, stop, pause or resume a node.

        Stopping sends SIGTERM, and SIGKILL after STOP_GRACE.
        """
        api, container = self._client().api, self.id(node)
        with translate_errors(f"{verb} {node}"):
            match verb:
                case "start":
                    self._pids.pop(node, None)
                    api.start(container)
                case "kill":
                    self._killed.add(node)
                    api.kill(container, "SIGKILL")
                case "stop":
                    api.stop(container, timeout=STOP_GRACE)
                case "pause":
                    api.pause(container)
                case "resume":
                    api.unpause(container)


def container_status(client: docker.DockerClient, container: str) -> NodeStatus:
    """Return the status of a container; GONE where it was removed."""
    try:
        return STATUSES.get(client.api.inspect_container(container)["State"]["Status"], NodeStatus.GONE)
    except docker.errors.NotFound:
        return NodeStatus.GONE
