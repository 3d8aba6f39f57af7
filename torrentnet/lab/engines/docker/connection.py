"""The way to the Docker Engine: where it listens, the SDK's client for it, and its errors in the lab's words."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

import docker.errors
import requests
from docker.context import ContextAPI

import docker
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker, typed_command

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL = 256
"""Connections to the engine that are kept: one a log stream, and some to work with."""
TIMEOUT = 60
PROBE_TIMEOUT = 5.0
DEFAULT_HOST = "unix:///var/run/docker.sock"
NO_ENGINE_HINT = f"{install_docker()}; `{typed_command('doctor')}` shows what is missing"


def connect() -> docker.DockerClient:
    """The SDK's client. Raises EngineError where no engine answers."""
    where = _endpoint()
    try:
        # The SDK leaves a socket open behind it when nobody answers there.
        _probe_socket(where)
        environment = {**os.environ, "DOCKER_HOST": where}
        return docker.from_env(timeout=TIMEOUT, max_pool_size=POOL, environment=environment)
    except (docker.errors.DockerException, OSError) as error:
        raise EngineError(f"no Docker Engine answers at {where}: {error_reason(error)}", hint=NO_ENGINE_HINT) from error


@contextlib.contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into the lab's, which say ``what`` was tried."""
    try:
        yield
    except docker.errors.NotFound as error:
        raise EngineError(f"{what}: the node is gone ({error_reason(error)})") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(f"{what}: {error_reason(error)}", hint=NO_ENGINE_HINT) from error


def error_reason(error: BaseException) -> str:
    """The engine's own words or the machine's, without the wrapping of the SDK and of what is below it."""
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)


def _endpoint() -> str:
    """Where the engine listens that the command ``docker`` would speak to: the SDK by itself knows of no contexts."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    with contextlib.suppress(Exception):  # whatever is wrong with the user's settings, the command itself will tell
        if context := ContextAPI.get_current_context():
            return str(context.Host or DEFAULT_HOST)
    return DEFAULT_HOST


def _probe_socket(where: str) -> None:
    """Raise OSError where nobody listens at a Unix socket."""
    scheme, _, path = where.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(PROBE_TIMEOUT)
            probe.connect(path)
