"""Checks of what the Docker engine needs on this machine, with remedies.

Tested by tests/integration/test_exit_codes.py.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import requests
import yaml

from torrentnet.lab.engines.child_process import command_output
from torrentnet.lab.engines.docker import cleanup, container_exec, helper_containers, images, labels
from torrentnet.lab.engines.docker.compose import used_subnets
from torrentnet.lab.engines.docker.limits import LimitSupport
from torrentnet.lab.engines.owner import Life, Owner, life_of
from torrentnet.lab.engines.subnets import choose_subnet
from torrentnet.lab.engines.types import Finding
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MIN_ENGINE: Final = (25, 0)
"""The oldest release with which the lab is meant to work."""
MIN_COMPOSE: Final = (2, 24)
"""For `!reset` in Compose files."""
MIN_DISK: Final = 2 * 1024**3
INSTALL: Final = install_docker()


def parse_version(text: str) -> tuple[int, int]:
    """Return major and minor number of a version; zeros where there is none."""
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def compose_findings(root: Path) -> list[Finding]:
    """Return the rows for the command ``docker compose`` and the file that it reads."""
    version = command_output("docker", "compose", "version", "--short")
    file = root / "docker-compose.yml"
    return [
        _version_finding("docker compose", version, MIN_COMPOSE),
        Finding(
            "docker-compose.yml", file.is_file(), str(file) if file.is_file() else "missing", "run from a checkout"
        ),
    ]


def diagnose(root: Path, connect: Callable[[], docker.DockerClient]) -> list[Finding]:
    """Return all rows of ``doctor`` that concern Docker."""
    findings = []
    command = shutil.which("docker")
    findings.append(Finding("docker command", command is not None, command or "missing", INSTALL))
    if command:
        findings += compose_findings(root)
        buildx = command_output("docker", "buildx", "version")
        findings.append(
            Finding("docker buildx", bool(buildx), buildx.split(" ")[1] if " " in buildx else "missing", INSTALL)
        )
    try:
        client = connect()
        info = client.info()
    except (EngineError, docker.errors.DockerException, requests.RequestException) as error:
        remedy = error.hint if isinstance(error, EngineError) else INSTALL
        findings.append(Finding("Docker Engine", False, str(error), remedy))
        return findings
    findings += [
        _version_finding("Docker Engine", str(info.get("ServerVersion", "")), MIN_ENGINE),
        _image(client, "image", images.tag_of(root), "the first lab builds it", ""),
        _image(
            client,
            "real clients",
            images.tag_of(root, images.CLIENTS),
            "the first scenario with `client` builds it",
            ": aria2, Transmission, libtorrent, rTorrent, qBittorrent, Deluge, opentracker",
        ),
        _disk(str(info.get("DockerRootDir", "/"))),
        _subnet(client),
        _limits(info),
        _containment(client, root),
        _labs(client),
    ]
    return findings


def _limits(info: Mapping[str, Any]) -> Finding:
    missing = ", ".join(sorted(LimitSupport.of(info).missing))
    return Finding(
        "limits of nodes",
        not missing,
        f"not available: {missing}" if missing else "memory, processes, processors, open files, log",
        "`docker info` says why",
        optional=True,
    )


def _containment(client: docker.DockerClient, root: Path) -> Finding:
    """Try to leave the network of a lab, from a container in one."""
    tag = images.tag_of(root)
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return Finding("way out of a lab", True, "will be tried once the image is built")
    try:
        settings = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))["networks"]["lab"]
        subnet = choose_subnet(1, used_subnets(client))
        gateways = [str(subnet[1]), *_gateways(client)]
        with helper_containers.scratch_network(client, tag, settings, subnet) as container:
            answer = container_exec.run(
                client, container, ["python3", "-I", "-c", _TRY_TO_LEAVE, *gateways], timeout=30
            )
    except (EngineError, docker.errors.DockerException, requests.RequestException, OSError) as error:
        return Finding("way out of a lab", False, f"cannot be tried: {error}", optional=True)
    if answer.status == 0:
        return Finding("way out of a lab", True, "none: a node reaches neither this machine nor the world")
    remedy = "use Docker Engine 25.0.4 or newer; until then run only programs that you trust"
    return Finding("way out of a lab", False, answer.output, remedy)


def _gateways(client: docker.DockerClient) -> Iterator[str]:
    """Yield the addresses that this machine has in Docker's networks."""
    for row in client.api.networks():
        for config in (row.get("IPAM") or {}).get("Config") or []:
            if "." in config.get("Gateway", ""):
                yield config["Gateway"]


_TRY_TO_LEAVE: Final = """\
import socket, sys
found = []
for address in [*sys.argv[1:], "203.0.113.1"]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))  # sends nothing: only asks for a route
        except OSError:
            continue
    with socket.socket() as probe:
        probe.settimeout(1.5)
        try:
            probe.connect((address, 9))
        except ConnectionRefusedError:
            pass
        except OSError:
            continue
    found.append(address)
try:
    socket.getaddrinfo("example.com", None)
    found.append("the name servers of the world")
except OSError:
    pass
print("a node reaches", ", ".join(found))
sys.exit(bool(found))
"""


def _version_finding(what: str, version: str, minimum: tuple[int, int]) -> Finding:
    if parse_version(version) >= minimum:
        return Finding(what, True, version)
    needed = ".".join(map(str, minimum))
    return Finding(what, False, version or "missing", f"{needed} or newer is needed: {INSTALL}")


def _image(client: docker.DockerClient, what: str, tag: str, when_built: str, contents: str) -> Finding:
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return Finding(what, True, f"{tag} is not built yet; {when_built}")
    return Finding(what, True, f"{tag} is up to date{contents}")


def _disk(directory: str) -> Finding:
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return Finding("disk", True, "not on this machine")
    return Finding(
        "disk",
        free >= MIN_DISK,
        f"{free / 1024**3:.1f} GiB free in {directory}",
        f"{MIN_DISK / 1024**3:.0f} GiB are needed; `docker system df` shows what uses the space",
    )


def _subnet(client: docker.DockerClient) -> Finding:
    try:
        return Finding("subnet", True, f"{choose_subnet(1, used_subnets(client))} is free")
    except EngineError as error:
        return Finding("subnet", False, error.message, error.hint)


def _labs(client: docker.DockerClient) -> Finding:
    names = sorted(_describe_lab(remains) for remains in cleanup.find(client))
    return Finding("labs on this machine", True, ", ".join(names) or "none")


def _describe_lab(remains: cleanup.LabRemains) -> str:
    """Return a lab's project, and why no clean-up of this user removes it."""
    owner = Owner.parse(remains.labels.get(labels.OWNER, ""))
    if owner is not None and not owner.mine:
        return f"{remains.project} (of user id {owner.user})"
    if owner is None or life_of(owner) is Life.UNKNOWN:
        return f"{remains.project} (of an owner that cannot be seen from here)"
    return remains.project
