"""Removal of what labs created in Docker: by label only, never by name.

A lab whose owner was killed cannot clean up after itself, so every lab looks for orphans when it starts and when it
ends.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors

from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.owner import Owner, boot_id, is_alive, pid_namespace
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_PARALLEL: Final = 4
ATTEMPTS: Final = 20
ATTEMPT_INTERVAL: Final = 0.25
UNSETTLED_ATTEMPTS: Final = 7
"""Attempts in a row that must find nothing where Docker may still be creating what it was asked for before a Ctrl-C."""
ALIVE: Final = {"running", "paused", "restarting"}


@dataclass(slots=True)
class LabRemains:
    """What exists of one lab."""

    project: str
    labels: Mapping[str, str]
    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    alive: bool = False
    """Whether one of its containers runs or is paused."""


def find(client: docker.DockerClient, project: str | None = None) -> list[LabRemains]:
    """Return everything that has our labels, grouped by lab.

    Where ``project`` is set, only that lab is searched for.
    """
    wanted = {"label": f"{labels.LAB}={project}" if project else labels.LAB}
    found: dict[str, LabRemains] = {}

    def remains(of: Mapping[str, str]) -> LabRemains:
        return found.setdefault(of[labels.LAB], LabRemains(of[labels.LAB], of))

    for row in client.api.containers(all=True, filters=wanted):
        lab = remains(row["Labels"])
        lab.containers.append(row["Id"])
        lab.alive = lab.alive or row["State"] in ALIVE
    for row in client.api.networks(filters=wanted):
        remains(row["Labels"]).networks.append(row["Id"])
    for row in client.api.volumes(filters=wanted)["Volumes"] or []:
        remains(row["Labels"]).volumes.append(row["Name"])
    return list(found.values())


def is_orphan(
    remains: LabRemains,
    *,
    boot: str,
    namespace: str,
    alive: Callable[[Owner], bool],
    finished: Callable[[Path, str], bool],
) -> bool:
    """Return whether nobody else will ever remove this lab.

    An owner of another boot or another pid namespace cannot be looked up: its lab is left alone while a container
    of it is alive, because several machines may share one Docker Engine. ``finished(state, project)`` says whether
    that state folder has the lab as one that ``up`` has left running: such a lab is meant to outlive its owner.
    """
    owner = Owner.parse(remains.labels.get(labels.OWNER, ""))
    if owner is None or owner.boot != boot or remains.labels.get(labels.PID_NAMESPACE) != namespace:
        return not remains.alive
    if alive(owner):
        return False
    if remains.labels.get(labels.MODE) != Mode.UP:
        return True
    return not finished(Path(remains.labels.get(labels.STATE, "/nonexistent")), remains.project)


def collect_orphans(client: docker.DockerClient, finished: Callable[[Path, str], bool]) -> list[str]:
    """Remove the labs of dead owners; returns their projects."""
    boot, namespace = boot_id(), pid_namespace()
    removed = []
    for remains in find(client):
        if is_orphan(remains, boot=boot, namespace=namespace, alive=is_alive, finished=finished):
            remove(client, remains.project)
            removed.append(remains.project)
    return removed


def remove(client: docker.DockerClient, project: str, *, unsettled: bool = False) -> int:
    """Remove everything of one lab, and return the number of removed containers.

    The removal is repeated until nothing is left.

    ``unsettled``: a ``docker compose create`` was interrupted, and Docker may still create what it was asked for last
    (a network, say) although nobody waits for it. Raises EngineError where something cannot be removed.
    """
    removed = empty = 0
    failure: Exception | None = None
    for _ in range(ATTEMPTS + UNSETTLED_ATTEMPTS):
        remains = next(iter(find(client, project)), None)
        if remains is None:
            empty += 1
            if not unsettled or empty >= UNSETTLED_ATTEMPTS:
                return removed
            time.sleep(ATTEMPT_INTERVAL)
            continue
        empty = 0
        removed += len(remains.containers)
        failure = _first_failure(remains.containers, lambda name: client.api.remove_container(name, v=True, force=True))
        if failure is None:
            failure = _first_failure(remains.networks, client.api.remove_network)
            failure = _first_failure(remains.volumes, client.api.remove_volume) or failure
        if failure is not None:
            time.sleep(ATTEMPT_INTERVAL)
    raise EngineError(
        f"the lab {project} could not be removed: {failure}",
        hint=f"docker rm -fv $(docker ps -aq --filter label={labels.LAB}={project})",
    )


def _first_failure(names: Iterable[str], remove_one: Callable[[str], object]) -> Exception | None:
    def attempt(name: str) -> Exception | None:
        try:
            remove_one(name)
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as error:
            return error
        return None

    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        return next((failure for failure in pool.map(attempt, names) if failure), None)
