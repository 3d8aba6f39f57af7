"""The generated Compose file, and the command that creates its containers.

The file has one service for each node.

``docker-compose.yml`` at the top of the repository holds what all nodes have in common; each service here extends it
with a name, an address and a command line. The two files together are an ordinary Compose project, for users and for
the lab.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

import yaml

from torrentnet.lab.engines.child_process import run_child
from torrentnet.lab.engines.command_lines import TORRENTS_FOLDER
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.limits import USER, LimitSupport, service_limits, volume
from torrentnet.lab.engines.subnets import host_routes
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import docker
    from torrentnet.lab.engines.docker.programs.program_images import ProgramImage
    from torrentnet.lab.engines.types import LabSpec, NodeLocation, NodeSpec

FILES: Final = "/files"
DATA: Final = "/data"
NETWORK: Final = "lab"
CREATE_PARALLEL: Final = "4"
OVERLAP: Final = "Pool overlaps"
"""What Compose prints where another network has the subnet."""
NO_COPY: Final = {"nocopy": True}
"""The image's own directory is empty, and belongs to another user."""
TEMPLATE: Final = {"tracker": "_tracker", "share": "_peer", "get": "_peer"}
"""Role to the service of ``docker-compose.yml`` that it extends."""
PROGRAM_TEMPLATE: Final = "_program"
"""The same for a node with a program that the scenario brings along."""
RUNTIME_PATH: Final = "/torrentnet/bin"
CHILD: Final = "TORRENTNET_CHILD_"
"""What the names of variables begin with that the observer passes on to its program."""
CONSOLE: Final = "TORRENTNET_CONSOLE"
"""``docker-compose.yml`` sets it."""
IMAGE_VOLUME: Final = "mode=1777,size=16m"

HEADER: Final = """\
# Written by torrentnet for one run of the scenario {scenario}; the next run writes its own.
# docker-compose.yml holds what all nodes have in common.
"""


class _Reset:
    """Marker that removes an inherited value (Compose's ``!reset``).

    The template's profile has to be removed, because it would hide the service.
    """


class _Dumper(yaml.SafeDumper):
    """Writes Compose's own tags, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class _Override(list[object]):
    """Replaces an inherited list (Compose's ``!override``) instead of extending it."""


_Dumper.add_representer(_Reset, lambda dumper, _: dumper.represent_sequence("!reset", []))
_Dumper.add_representer(_Override, lambda dumper, items: dumper.represent_sequence("!override", items))


@dataclass(frozen=True, slots=True)
class Topology:
    """What the generated file needs beside the :class:`LabSpec`."""

    base: Path
    """``docker-compose.yml``."""
    image: str
    subnet: IPv4Network
    locations: Mapping[str, NodeLocation]
    owner: Mapping[str, str]
    """Labels that say which process made the lab."""
    support: LimitSupport = field(default_factory=LimitSupport)
    clients_image: str = ""
    """Image for nodes that run programs of others."""
    programs: Mapping[str, ProgramImage] = field(default_factory=dict)
    """Image of each program that the scenario brings along, by its name."""


def escape(text: str) -> str:
    """Escape ``text``, so that Compose reads it unchanged.

    Otherwise Compose would replace ``$NAME`` by a variable's value.
    """
    return text.replace("$", "$$")


def _read_only_bind(source: Path, target: str) -> dict[str, object]:
    return {"type": "bind", "source": escape(str(source)), "target": target, "read_only": True}


def volume_key(node: str) -> str:
    """Return the name of a node's volume in the file."""
    return f"data-{node}"


def nodes_in_memory(nodes: Sequence[NodeSpec], support: LimitSupport) -> frozenset[str]:
    """Return the nodes whose directories are in memory.

    These are all nodes, or those whose `disk` the scenario sets.
    """
    every = support.disk_in_memory(nodes)
    return frozenset(node.name for node in nodes if every or "disk" in node.limits.explicit)


def render(spec: LabSpec, topology: Topology) -> str:
    """Return the text of the generated Compose file."""
    common = {labels.LAB: spec.project, **{key: escape(value) for key, value in topology.owner.items()}}
    commands = spec.commands(topology.locations)
    in_memory = nodes_in_memory(spec.nodes, topology.support)
    services: dict[str, object] = {}
    for node in spec.nodes:
        program = topology.programs[node.foreign.name] if node.foreign is not None else None
        template = TEMPLATE[node.role] if program is None else PROGRAM_TEMPLATE
        service: dict[str, object] = {"extends": {"file": escape(str(topology.base)), "service": template}}
        service["profiles"] = _Reset()
        service["image"] = topology.clients_image if node.program else topology.image
        kind = {}
        if program is not None:
            service["image"] = program.tag
            kind = {labels.PROGRAM: labels.IN_OUR_IMAGE if program.ours else labels.IN_ITS_IMAGE}
        service["hostname"] = node.name
        service["command"] = [escape(word) for word in commands[node.name]]
        service["labels"] = {**common, labels.NODE: node.name, labels.ROLE: node.role, **kind}
        service["networks"] = {NETWORK: {"ipv4_address": topology.locations[node.name].address}}
        environment = program_environment(program) if program is not None else {}
        if spec.gate:
            environment["TORRENTNET_GATE"] = spec.gate
        if environment:
            service["environment"] = {name: escape(value) for name, value in environment.items()}
        if program is not None and program.volumes:
            # Else each would be a directory without a limit.
            service["tmpfs"] = [f"{path}:{IMAGE_VOLUME}" for path in program.volumes if path not in {DATA, FILES}]
        volumes: list[object] = []
        if node.wants_files:
            volumes.append(_read_only_bind(spec.files, FILES))
        elif node.wants_torrents:
            volumes.append(_read_only_bind(spec.files / TORRENTS_FOLDER, f"{FILES}/{TORRENTS_FOLDER}"))
        service |= service_limits(node.limits, topology.support, in_memory=node.name in in_memory)
        if node.name in in_memory:
            # Compose refuses two mounts on one directory: the inherited volume must go.
            volumes.append({"type": "volume", "source": volume_key(node.name), "target": DATA, "volume": NO_COPY})
            service["volumes"] = _Override(volumes)
        elif volumes:
            service["volumes"] = volumes
        services[node.name] = service
    document = {
        "name": spec.project,
        "services": services,
        "networks": {NETWORK: {"labels": common, "ipam": {"config": [{"subnet": str(topology.subnet)}]}}},
    }
    if in_memory:
        document["volumes"] = {
            volume_key(node.name): volume(node.limits, USER, common) for node in spec.nodes if node.name in in_memory
        }
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return HEADER.format(scenario=spec.scenario) + text


def program_environment(program: ProgramImage) -> dict[str, str]:
    """Return the environment of an observer.

    An image's variables are for its program: a loader or a Python that reads them is not to be the observer's.
    """
    child = {f"{CHILD}PYTHONPATH": program.path} if program.path else {}
    if program.ours:
        return child
    own = {name: "" for name, _ in program.environment if name != CONSOLE}
    search = dict(program.environment).get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    own |= {"PATH": f"{RUNTIME_PATH}:{search}", "LANG": "C.UTF-8", "LD_PRELOAD": "", "LD_LIBRARY_PATH": ""}
    return (
        own
        | {f"{CHILD}{name}": value for name, value in program.environment if name != "HOME"}
        | {f"{CHILD}PATH": search}
        | child
    )


def create(root: Path, project: str, file: Path, environment: Mapping[str, str]) -> bool:
    """Create the containers that ``file`` describes, and return whether this worked.

    The result is False where another network has occupied the subnet meanwhile. ``root`` is the directory of
    ``docker-compose.yml``. Raises EngineError with the command's last lines.
    """
    result = run_child(
        [
            *("docker", "compose", "--ansi", "never", "--progress", "quiet", "--project-name", project),
            # A user's .env may be anything, and means nothing here.
            *("--env-file", os.devnull),
            *("--project-directory", str(root), "-f", str(root / "docker-compose.yml"), "-f", str(file), "create"),
        ],
        cwd=root,
        env={**environment, "COMPOSE_PARALLEL_LIMIT": CREATE_PARALLEL},
    )
    if result.status == 0:
        return True
    if any(OVERLAP in line for line in result.tail):
        return False
    lines = "\n".join(f"    {line}" for line in result.tail[-10:])
    raise EngineError(f"docker compose create failed (exit status {result.status}):\n{lines}")


def used_subnets(client: docker.DockerClient) -> list[IPv4Network]:
    """Return the subnets that a new one must not overlap.

    They are those of Docker's networks and those that this machine has routes to.
    """
    networks = host_routes()
    for row in client.api.networks():
        for config in (row.get("IPAM") or {}).get("Config") or []:
            # A subnet that is not IPv4 cannot overlap.
            with contextlib.suppress(ValueError):
                networks.append(IPv4Network(config.get("Subnet", "")))
    return networks
