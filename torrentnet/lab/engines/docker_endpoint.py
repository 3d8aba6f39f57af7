"""The one Docker Engine that the SDK, the command ``docker`` and Compose all use.

The command ``docker`` finds its engine by DOCKER_HOST, DOCKER_CONTEXT and ``docker context use``; the SDK knows only
the first. The lab asks once, and hands the answer to both. What else a user has set for Docker (another builder,
Compose variables) is meant for the user's own projects, and is not passed on.

Tested by tests/unit/lab/engines/test_docker_endpoint.py and tests/integration/test_docker_settings.py.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
DEFAULT_CONTEXT: Final = "default"
DEFAULT_PORT: Final = 2375
PROBE_TIMEOUT: Final = 5.0
COMMAND_TIMEOUT: Final = 20.0
SCHEMES: Final = ("unix", "tcp", "http", "https")
NOT_PASSED_ON: Final = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
    *("DOCKER_DEFAULT_PLATFORM", "DOCKER_CONTENT_TRUST"),
)
OURS: Final = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": DEFAULT_CONTEXT}
"""The builder inside the engine: what others build is not among the engine's images."""


@dataclass(frozen=True, slots=True)
class DockerEndpoint:
    """Where an engine listens, and who said so."""

    host: str
    source: str = ""
    """``DOCKER_HOST``, or which context; empty for the machine's own engine."""
    remedy: str = ""
    """How to get the machine's own engine instead."""
    tls: Mapping[str, str] = field(default_factory=dict)
    """DOCKER_TLS_VERIFY and DOCKER_CERT_PATH."""

    def __str__(self) -> str:
        return f"{self.host} ({self.source})" if self.source else self.host

    @property
    def is_unix(self) -> bool:
        """Whether the engine listens at a Unix socket."""
        return self.host.startswith("unix://")

    def environment(self) -> dict[str, str]:
        """Return the environment in which ``docker`` and the SDK use this engine."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("COMPOSE_") and name not in NOT_PASSED_ON
        }
        return {**kept, **OURS, "DOCKER_HOST": self.host, **self.tls}

    def probe(self) -> None:
        """Try whether an engine listens there.

        Raises OSError where nobody does, EngineError where the lab cannot use such an endpoint.
        """
        scheme, _, path = self.host.partition("://")
        if scheme not in SCHEMES:
            raise EngineError(
                f"the lab cannot use the Docker Engine at {self}: nodes read their files from this machine",
                hint=f"use an engine of this machine: {self.remedy}",
            )
        if scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(PROBE_TIMEOUT)
                probe.connect(path)
            return
        try:
            address = urlsplit(self.host)
            where = address.hostname or "127.0.0.1", address.port or DEFAULT_PORT
        except ValueError as error:
            raise EngineError(f"{self} is no address of a Docker Engine: {error}", hint=self.remedy) from error
        socket.create_connection(where, PROBE_TIMEOUT).close()

    def group(self) -> str:
        """Return the group whose members may use the socket."""
        with contextlib.suppress(OSError, KeyError):
            return grp.getgrgid(Path(self.host.removeprefix("unix://")).stat().st_gid).gr_name
        return "docker"

    def why_forbidden(self) -> str:
        """Return what to do for the right to use the socket."""
        group, user = self.group(), str(os.getuid())
        with contextlib.suppress(KeyError):
            user = pwd.getpwuid(os.getuid()).pw_name
        with contextlib.suppress(KeyError):
            if user in grp.getgrnam(group).gr_mem:
                return f"you are in the group `{group}` since you logged in: log out and in again, or `newgrp {group}`"
        return f"`sudo usermod -aG {group} {user}`, then log out and in again"


def find_endpoint() -> DockerEndpoint:
    """Return the engine that the command ``docker`` would use.

    Raises EngineError for a context that does not exist.
    """
    if host := os.environ.get("DOCKER_HOST"):
        tls = {name: os.environ[name] for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH") if os.environ.get(name)}
        return DockerEndpoint(host, "DOCKER_HOST", "unset DOCKER_HOST", tls)
    named = os.environ.get("DOCKER_CONTEXT", "")
    name = named or _configured_context()
    if name in {"", DEFAULT_CONTEXT}:
        return DockerEndpoint(DEFAULT_HOST)
    remedy = "unset DOCKER_CONTEXT" if named else f"docker context use {DEFAULT_CONTEXT}"
    return _inspect(name, f"the Docker context `{name}`", remedy)


def _configured_context() -> str:
    """Return what ``docker context use`` has written."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the command `docker` itself reports what is wrong
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("currentContext", ""))
    return ""


def _inspect(name: str, source: str, remedy: str) -> DockerEndpoint:
    command = ["docker", "context", "inspect", "--format", "{{json .}}", name]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
        context = json.loads(done.stdout)
        engine = context["Endpoints"]["docker"]
        tls = {}
        if context.get("TLSMaterial", {}).get("docker"):
            tls["DOCKER_CERT_PATH"] = str(Path(context["Storage"]["TLSPath"], "docker"))
            if not engine.get("SkipTLSVerify"):
                tls["DOCKER_TLS_VERIFY"] = "1"
        return DockerEndpoint(engine["Host"] or DEFAULT_HOST, source, remedy, tls)
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError, TypeError) as error:
        raise EngineError(f"{source} cannot be used: `{' '.join(command)}` shows no engine", hint=remedy) from error
