"""What this machine has of what the Docker engine needs, and the remedy for what it lacks."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import docker.errors
import requests

import docker
from torrentnet.lab.engines import subnets
from torrentnet.lab.engines.docker import cleanup, images
from torrentnet.lab.engines.types import Finding
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIN_ENGINE = (25, 0)
"""`start_interval` of health checks."""
MIN_COMPOSE = (2, 24)
"""`!reset` in Compose files."""
MIN_DISK = 2 * 1024**3
INSTALL = install_docker()
COMMAND_TIMEOUT = 20


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor number of a version; zeros where there is none."""
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def compose_findings(root: Path) -> list[Finding]:
    """The command ``docker compose``, and the file that it reads."""
    answer = _output("docker", "compose", "version", "--short")
    good = parse_version(answer) >= MIN_COMPOSE
    need = ".".join(map(str, MIN_COMPOSE))
    base = root / "docker-compose.yml"
    return [
        Finding("docker compose", good, answer or "missing", "" if good else f"{need} or newer is needed: {INSTALL}"),
        Finding(
            "docker-compose.yml", base.is_file(), str(base) if base.is_file() else "missing", "run from a checkout"
        ),
    ]


def diagnose(root: Path, connect: Callable[[], docker.DockerClient]) -> list[Finding]:
    """All rows of ``doctor`` that concern Docker."""
    findings = []
    command = shutil.which("docker")
    findings.append(Finding("docker command", command is not None, command or "missing", INSTALL))
    if command:
        findings += compose_findings(root)
        buildx = _output("docker", "buildx", "version")
        findings.append(
            Finding("docker buildx", bool(buildx), buildx.split(" ")[1] if " " in buildx else "missing", INSTALL)
        )
    try:
        client = connect()
        info = client.info()
    except (EngineError, docker.errors.DockerException, requests.RequestException) as error:
        findings.append(Finding("Docker Engine", False, str(error), INSTALL))
        return findings
    found = str(info.get("ServerVersion", ""))
    good = parse_version(found) >= MIN_ENGINE
    need = ".".join(map(str, MIN_ENGINE))
    findings.append(Finding("Docker Engine", good, found, f"{need} or newer is needed: {INSTALL}"))
    findings += [
        _image(client, root),
        _clients(client, root),
        _disk(str(info.get("DockerRootDir", "/"))),
        _subnet(client),
        _labs(client),
    ]
    return findings


def _image(client: docker.DockerClient, root: Path) -> Finding:
    tag = images.tag_of(root)
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return Finding("image", True, f"{tag} is not built yet; the first lab builds it")
    return Finding("image", True, f"{tag} is up to date")


def _clients(client: docker.DockerClient, root: Path) -> Finding:
    tag = images.tag_of(root, images.CLIENTS)
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return Finding("real clients", True, f"{tag} is not built yet; the first scenario with `client` builds it")
    return Finding("real clients", True, f"{tag} is up to date: aria2, Transmission, libtorrent, opentracker")


def _disk(directory: str) -> Finding:
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return Finding("disk", True, "not on this machine")
    return Finding(
        "disk",
        free >= MIN_DISK,
        f"{free / 1024**3:.1f} GiB free in {directory}",
        f"{MIN_DISK / 1024**3:.0f} GiB are needed; `docker system df` shows what takes room",
    )


def _subnet(client: docker.DockerClient) -> Finding:
    try:
        return Finding("subnet", True, f"{subnets.choose_subnet(1, subnets.used_subnets(client))} is free")
    except EngineError as error:
        return Finding("subnet", False, error.message, error.hint)


def _labs(client: docker.DockerClient) -> Finding:
    names = sorted(remains.project for remains in cleanup.find(client))
    return Finding("labs on this machine", True, ", ".join(names) or "none")


def _output(*argv: str) -> str:
    try:
        answer = subprocess.run(
            argv, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
