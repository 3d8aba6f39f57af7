"""The connection to the Docker Engine.

It consists of the engine's endpoint, the SDK's client, and the translation of Docker's errors into ours.

Tested by tests/integration/test_exit_codes.py.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

import docker.errors
import requests
from docker.context import ContextAPI

import docker
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker, typed_command

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_POOL: Final = 256
"""Open connections to the engine: one for each log stream, and some to work with."""
TIMEOUT: Final = 60
PROBE_TIMEOUT: Final = 5.0
MAX_SKEW: Final = 0.05
"""Seconds; an engine whose time of day differs more is on another machine."""
DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
NO_ENGINE_HINT: Final = f"{install_docker()}; `{typed_command('doctor')}` shows what is missing"


def connect() -> docker.DockerClient:
    """Return the SDK's client. Raises EngineError where no Docker Engine answers."""
    endpoint = _endpoint()
    try:
        # The SDK leaves a socket open when nobody answers.
        _probe_socket(endpoint)
        environment = {**os.environ, "DOCKER_HOST": endpoint}
        return docker.from_env(timeout=TIMEOUT, max_pool_size=MAX_POOL, environment=environment)
    except (docker.errors.DockerException, OSError) as error:
        raise EngineError(
            f"no Docker Engine answers at {endpoint}: {error_reason(error)}", hint=NO_ENGINE_HINT
        ) from error


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Turn the SDK's exceptions into EngineError.

    The error's message includes ``action``, which says what was attempted.
    """
    try:
        yield
    except docker.errors.NotFound as error:
        raise EngineError(f"{action}: the node is gone ({error_reason(error)})") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(f"{action}: {error_reason(error)}", hint=NO_ENGINE_HINT) from error


def same_time_of_day(client: docker.DockerClient) -> bool:
    """Return whether the engine's time of day is this machine's.

    Raises what the SDK raises.
    """
    before = time.time()
    text = str(client.info().get("SystemTime", ""))
    after = time.time()
    try:
        theirs = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return False
    return before - MAX_SKEW <= theirs <= after + MAX_SKEW


def error_reason(error: BaseException) -> str:
    """Return the error message of the engine or the kernel itself.

    The text that the SDK and the libraries below it wrap around the message is removed.
    """
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)


def _endpoint() -> str:
    """Return the endpoint that the command ``docker`` would use.

    The SDK by itself ignores Docker's contexts.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return host
    with contextlib.suppress(Exception):  # the command `docker` itself reports what is wrong with its settings
        if context := ContextAPI.get_current_context():
            return str(context.Host or DEFAULT_HOST)
    return DEFAULT_HOST


def _probe_socket(endpoint: str) -> None:
    """Raise OSError where the endpoint is a Unix socket at which nobody listens."""
    scheme, _, path = endpoint.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(PROBE_TIMEOUT)
            probe.connect(path)
