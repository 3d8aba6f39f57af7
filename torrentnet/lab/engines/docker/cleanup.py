"""Removing what labs made in Docker: by label only, never by name.

A lab whose owner was killed cannot clean up after itself, so every start and every end of a lab looks for what the
dead have left.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors

import docker
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.owner import Owner, boot_id, is_alive, pid_namespace
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PARALLEL = 4
ATTEMPTS = 20
ATTEMPT_INTERVAL = 0.25
UNSETTLED_ATTEMPTS = 7
"""Looks in a row that must find nothing where the engine may still be making what it was asked for before a Ctrl-C."""
LIVING = {"running", "paused", "restarting"}


@dataclass(slots=True)
class LabRemains:
    """What there is of one lab."""

    project: str
    labels: Mapping[str, str]
    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    living: bool = False
    """Whether one of its containers runs."""


def find(client: docker.DockerClient, project: str | None = None) -> list[LabRemains]:
    """Everything that carries our labels, by lab; of one lab where ``project`` names it."""
    wanted = {"label": f"{labels.LAB}={project}" if project else labels.LAB}
    found: dict[str, LabRemains] = {}

    def remains(of: Mapping[str, str]) -> LabRemains:
        return found.setdefault(of[labels.LAB], LabRemains(of[labels.LAB], of))

    for row in client.api.containers(all=True, filters=wanted):
        lab = remains(row["Labels"])
        lab.containers.append(row["Id"])
        lab.living = lab.living or row["State"] in LIVING
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
    """Whether nobody will ever clean this lab up but us.

    An owner of another boot or another pid namespace cannot be looked for: its lab is left alone as long as a container
    of it runs, because several machines may share one engine. ``finished`` tells whether a ``make up`` came to its
    end in that directory: such a lab is meant to outlive its owner.
    """
    owner = Owner.parse(remains.labels.get(labels.OWNER, ""))
    if owner is None or owner.boot != boot or remains.labels.get(labels.PID_NAMESPACE) != namespace:
        return not remains.living
    if alive(owner):
        return False
    if remains.labels.get(labels.MODE) != Mode.UP:
        return True
    return not finished(Path(remains.labels.get(labels.HOME, "/nonexistent")), remains.project)


def collect_orphans(client: docker.DockerClient, finished: Callable[[Path, str], bool]) -> list[str]:
    """Remove the labs of dead owners; answers with their projects."""
    here, namespace = boot_id(), pid_namespace()
    swept = []
    for remains in find(client):
        if is_orphan(remains, boot=here, namespace=namespace, alive=is_alive, finished=finished):
            remove(client, remains.project)
            swept.append(remains.project)
    return swept


def remove(client: docker.DockerClient, project: str, *, unsettled: bool = False) -> int:
    """Remove everything of one lab; answers with the number of containers.

    Looks again until nothing is left. ``unsettled``: a ``docker compose create`` was cut off, and the engine goes on
    with what it was asked for last, a network for instance, although nobody waits for it any more.
    """
    removed = looks = 0
    last: Exception | None = None
    for _ in range(ATTEMPTS + UNSETTLED_ATTEMPTS):
        remains = next(iter(find(client, project)), None)
        if remains is None:
            looks += 1
            if not unsettled or looks >= UNSETTLED_ATTEMPTS:
                return removed
            time.sleep(ATTEMPT_INTERVAL)
            continue
        looks = 0
        removed += len(remains.containers)
        last = _first_failure(remains.containers, lambda name: client.api.remove_container(name, v=True, force=True))
        if last is None:
            last = _first_failure(remains.networks, client.api.remove_network)
            last = _first_failure(remains.volumes, client.api.remove_volume) or last
        if last is not None:
            time.sleep(ATTEMPT_INTERVAL)
    raise EngineError(
        f"the lab {project} could not be removed: {last}",
        hint=f"docker rm -fv $(docker ps -aq --filter label={labels.LAB}={project})",
    )


def _first_failure(names: Iterable[str], take: Callable[[str], object]) -> Exception | None:
    def attempt(name: str) -> Exception | None:
        try:
            take(name)
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as error:
            return error
        return None

    with ThreadPoolExecutor(PARALLEL) as pool:
        return next((failure for failure in pool.map(attempt, names) if failure), None)
