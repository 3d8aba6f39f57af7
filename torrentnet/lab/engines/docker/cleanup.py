"""Removal of what labs created in Docker: by label only, never by name.

A lab whose owner was killed cannot clean up after itself, so every lab looks for orphans when it starts and when it
ends.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors
import requests

from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.owner import Owner, boot_id, directory_id, is_dead
from torrentnet.lab.engines.types import Mode, RemovedLab
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_PARALLEL: Final = 4
ATTEMPTS: Final = 20
ATTEMPT_INTERVAL: Final = 0.25
UNSETTLED_ATTEMPTS: Final = 7
"""Attempts in a row that must find nothing where Docker may still be creating what it was asked for before a Ctrl-C."""
RESTART_TIME: Final = 60.0
"""For an engine that is being restarted."""
RESTART_INTERVAL: Final = 0.5
ORPHAN_TIMEOUT: Final = 10
ALIVE: Final = {"running", "paused", "restarting"}

log: Final = logging.getLogger(__name__)


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


def find(client: docker.DockerClient, *wanted: str) -> list[LabRemains]:
    """Return everything that has our labels, grouped by lab.

    The labels that are ``wanted`` limit the search.
    """
    filters = {"label": [labels.LAB, *wanted]}
    found: dict[str, LabRemains] = {}

    def remains(of: Mapping[str, str]) -> LabRemains:
        return found.setdefault(of[labels.LAB], LabRemains(of[labels.LAB], of))

    for row in client.api.containers(all=True, filters=filters):
        lab = remains(row["Labels"])
        lab.containers.append(row["Id"])
        lab.alive = lab.alive or row["State"] in ALIVE
    for row in client.api.networks(filters=filters):
        remains(row["Labels"]).networks.append(row["Id"])
    for row in client.api.volumes(filters=filters)["Volumes"] or []:
        remains(row["Labels"]).volumes.append(row["Name"])
    return list(found.values())


def is_orphan(
    remains: LabRemains, *, dead: Callable[[Owner], bool] = is_dead, finished: Callable[[Path, str], bool]
) -> bool:
    """Return whether a lab is this user's, and nobody else will ever remove it.

    A lab of another user, and one whose owner cannot be seen from here, is left alone. ``finished(state, project)``
    says whether that state folder has the lab as one that ``up`` has left running: such a lab is meant to outlive its
    owner. So does a lab whose state folder is out of reach.
    """
    owner = Owner.parse(remains.labels.get(labels.OWNER, ""))
    if owner is None or not owner.mine or not dead(owner):
        return False
    if owner.boot != boot_id() and remains.alive:
        # After this machine's restart no lab runs: this one is of a copy of this machine, which shares the engine.
        return False
    if remains.labels.get(labels.MODE) != Mode.UP:
        return True
    state = Path(remains.labels.get(labels.STATE) or "/nonexistent")
    if directory_id(state.parent) != remains.labels.get(labels.STATE_PARENT):
        return False
    return not finished(state, remains.project)


def collect_orphans(client: docker.DockerClient, finished: Callable[[Path, str], bool]) -> list[RemovedLab]:
    """Remove this user's labs of dead owners; returns them.

    One that the engine does not remove must not keep others from starting: it is returned with the reason.
    """
    removed = []
    usual = client.api.timeout
    for remains in find(client, f"{labels.USER}={os.getuid()}"):
        if not is_orphan(remains, finished=finished):
            continue
        problem = ""
        try:
            client.api.timeout = ORPHAN_TIMEOUT
            remove(client, remains.project)
        except requests.Timeout:
            problem = f"Docker did not answer within {ORPHAN_TIMEOUT} s (a paused container that is being checked?)"
        except EngineError as error:
            problem = error.message
        finally:
            client.api.timeout = usual
        # The home may be on another machine, so it is not returned.
        removed.append(RemovedLab(remains.project, problem=problem))
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
        remains = next(iter(find(client, f"{labels.LAB}={project}")), None)
        if remains is None:
            empty += 1
            if not unsettled or empty >= UNSETTLED_ATTEMPTS:
                return removed
            time.sleep(ATTEMPT_INTERVAL)
            continue
        user = remains.labels.get(labels.USER, "")
        if user not in {"", str(os.getuid())} and os.getuid() != 0:
            raise EngineError(f"the lab {project} belongs to user id {user}", hint="that user's `down` removes it")
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


def remove_patiently(client: docker.DockerClient, project: str, endpoint: str, *, unsettled: bool = False) -> None:
    """Remove everything of one lab, also where the engine is being restarted.

    Raises what :func:`remove` raises, and EngineError where no engine answers in time.
    """
    deadline = time.monotonic() + RESTART_TIME
    told = False
    while True:
        try:
            remove(client, project, unsettled=unsettled)
        except requests.ConnectionError as error:
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the lab {project} could not be removed: no Docker Engine answers at {endpoint}",
                    hint=f"start that engine; then `{typed_command('down')}`, or the next lab, removes what is left",
                ) from error
            if not told:
                log.warning("no Docker Engine answers at %s; the lab is removed as soon as one does", endpoint)
            told = True
        else:
            return
        time.sleep(RESTART_INTERVAL)


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
