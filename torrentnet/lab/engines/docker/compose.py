"""The generated Compose file, one service a node, and the command that makes containers of it.

``docker-compose.yml`` at the top of the repository holds what all nodes have in common; each service here inherits
from it and adds a name, an address and a command line. The two files together are an ordinary Compose project, for a
person as for the lab.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from torrentnet.lab.engines.child_process import run_child
from torrentnet.lab.engines.command_lines import TORRENTS_FOLDER as TORRENTS
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network
    from pathlib import Path

    from torrentnet.lab.engines.types import LabSpec, NodeLocation

FILES = "/files"
DATA = "/data"
NETWORK = "lab"
CREATE_PARALLEL = "4"
OVERLAP = "Pool overlaps"
"""What Compose says where another network has the subnet."""
USER = 10001
"""The nodes' user, and its group."""
TEMPLATE = {"tracker": "tracker", "share": "_peer", "get": "_peer"}
"""The service of ``docker-compose.yml`` that a role inherits from."""

HEADER = """\
# Written by torrentnet for one run of the scenario {scenario}; the next run writes its own.
# docker-compose.yml holds what all nodes have in common.
"""


class _Reset:
    """Takes back an inherited value (Compose's ``!reset``): without it a template's profile would hide the service."""


class _Dumper(yaml.SafeDumper):
    """Writes Compose's own tag, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_reset(dumper: yaml.SafeDumper, _: _Reset) -> yaml.Node:
    return dumper.represent_sequence("!reset", [])


class _Override(list[object]):
    """Takes the place of an inherited list (Compose's ``!override``) instead of adding to it."""


def _represent_override(dumper: yaml.SafeDumper, items: _Override) -> yaml.Node:
    return dumper.represent_sequence("!override", items)


_Dumper.add_representer(_Reset, _represent_reset)
_Dumper.add_representer(_Override, _represent_override)


@dataclass(frozen=True, slots=True)
class Topology:
    """What the generated file says beside the lab itself."""

    base: Path
    """``docker-compose.yml``."""
    image: str
    subnet: IPv4Network
    places: Mapping[str, NodeLocation]
    owner: Mapping[str, str]
    """Labels that say whose lab it is."""
    clients_image: str = ""
    """For nodes that run other people's programs."""


def escape(text: str) -> str:
    """Text that Compose must take as it is: it would put a variable's value in place of ``$NAME``."""
    return text.replace("$", "$$")


def _read_only_bind(source: Path, target: str) -> dict[str, object]:
    return {"type": "bind", "source": escape(str(source)), "target": target, "read_only": True}


def render(spec: LabSpec, topology: Topology) -> str:
    """The text of the generated Compose file."""
    common = {labels.LAB: spec.project, **{key: escape(value) for key, value in topology.owner.items()}}
    commands = spec.commands(topology.places)
    services: dict[str, object] = {}
    for node in spec.nodes:
        template = TEMPLATE[node.role]
        service: dict[str, object] = {}
        if node.name != template:
            service["extends"] = {"file": escape(str(topology.base)), "service": template}
        service["profiles"] = _Reset()
        service["image"] = topology.clients_image if node.program else topology.image
        service["hostname"] = node.name
        service["command"] = [escape(word) for word in commands[node.name]]
        service["labels"] = {**common, labels.NODE: node.name, labels.ROLE: node.role}
        service["networks"] = {NETWORK: {"ipv4_address": topology.places[node.name].address}}
        if spec.gate:
            service["environment"] = {"TORRENTNET_GATE": spec.gate}
        volumes: list[object] = []
        if node.wants_files:
            volumes.append(_read_only_bind(spec.files, FILES))
        elif node.wants_torrents:
            volumes.append(_read_only_bind(spec.files / TORRENTS, f"{FILES}/{TORRENTS}"))
        if node.disk is not None:
            # In place of the inherited volume; two mounts on one directory are refused.
            service["volumes"] = _Override(volumes)
            service["tmpfs"] = [f"{DATA}:uid={USER},gid={USER},mode=0755,size={node.disk}"]
        elif volumes:
            service["volumes"] = volumes
        services[node.name] = service
    document = {
        "name": spec.project,
        "services": services,
        "networks": {NETWORK: {"labels": common, "ipam": {"config": [{"subnet": str(topology.subnet)}]}}},
    }
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return HEADER.format(scenario=spec.scenario) + text


def create(root: Path, project: str, file: Path) -> bool:
    """Create the containers that ``file`` describes; False where another network came first to the subnet.

    ``root`` is the directory of ``docker-compose.yml``. Raises EngineError with what the command said last.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    environment["COMPOSE_PARALLEL_LIMIT"] = CREATE_PARALLEL
    result = run_child(
        [
            *("docker", "compose", "--ansi", "never", "--progress", "quiet", "--project-name", project),
            *("--project-directory", str(root), "-f", str(root / "docker-compose.yml"), "-f", str(file), "create"),
        ],
        cwd=root,
        env=environment,
    )
    if result.status == 0:
        return True
    if any(OVERLAP in line for line in result.tail):
        return False
    lines = "\n".join(f"    {line}" for line in result.tail[-10:])
    raise EngineError(f"docker compose create failed (exit status {result.status}):\n{lines}")
