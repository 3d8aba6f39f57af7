"""The connection to the Docker Engine.

It consists of the SDK's client and the translation of Docker's errors into ours.

Tested by tests/integration/test_exit_codes.py.
"""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import docker.errors
import requests

import docker
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker, typed_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.lab.engines.docker_endpoint import DockerEndpoint

MAX_POOL: Final = 256
"""Open connections to the engine: one for each log stream, and some to work with."""
MAX_UNIX_POOL: Final = 16
"""Over a Unix socket, the SDK has a pool of connections for each path of the API, and fills it with blanks."""
TIMEOUT: Final = 60
MAX_SKEW: Final = 0.05
"""Seconds; an engine whose time of day differs more is on another machine."""
NO_IMAGE: Final = "torrentnet-no-such-image:none"
NO_ENGINE_HINT: Final = f"{install_docker()}; `{typed_command('doctor')}` shows what is missing"
PROXY_HINT: Final = (
    "a proxy before the engine's socket forbids this; the lab needs containers, exec, images, build, networks, volumes,"
    " events and info, with POST and DELETE"
)


def connect(endpoint: DockerEndpoint) -> docker.DockerClient:
    """Return the SDK's client. Raises EngineError where no Docker Engine answers."""
    try:
        # The SDK leaves a socket open when nobody answers.
        endpoint.probe()
        pool = MAX_UNIX_POOL if endpoint.is_unix else MAX_POOL
        client = docker.from_env(timeout=TIMEOUT, max_pool_size=pool, environment=endpoint.environment())
        # No proxy, which would be looked for in the environment at each request.
        client.api.trust_env = not endpoint.is_unix
        return client
    except PermissionError as error:
        message = f"you may not use the Docker Engine at {endpoint}, which belongs to the group `{endpoint.group()}`"
        raise EngineError(message, hint=endpoint.why_forbidden()) from error
    except (docker.errors.DockerException, OSError) as error:
        hint = f"start that engine, or: {endpoint.remedy}; `{typed_command('doctor')}` shows what is missing"
        hint = hint if endpoint.source else NO_ENGINE_HINT
        raise EngineError(f"no Docker Engine answers at {endpoint}: {error_reason(error)}", hint=hint) from error


def require_shared_files(client: docker.DockerClient, endpoint: DockerEndpoint, directory: Path) -> None:
    """Raise EngineError where the engine does not see a directory of this machine.

    Nodes read files from there. The engine checks a mount before it looks for the image, and there is no image of this
    name: nothing is created.
    """
    mount = docker.types.Mount("/files", str(directory), type="bind", read_only=True)
    with contextlib.suppress(docker.errors.ImageNotFound):
        try:
            client.api.create_container(NO_IMAGE, host_config=client.api.create_host_config(mounts=[mount]))
        except docker.errors.APIError as error:
            if "bind source path" not in error_reason(error):
                raise
            raise EngineError(
                f"the Docker Engine at {endpoint} does not see {directory}, from where nodes read their files",
                hint=f"use an engine of this machine: {endpoint.remedy}"
                if endpoint.source
                else "the engine runs in a machine or a sandbox of its own: share the directory with it, or set"
                " TORRENTNET_HOME to one that it sees",
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
        forbidden = isinstance(error, docker.errors.APIError) and error.status_code == HTTPStatus.FORBIDDEN
        raise EngineError(
            f"{action}: {error_reason(error)}", hint=PROXY_HINT if forbidden else NO_ENGINE_HINT
        ) from error


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
