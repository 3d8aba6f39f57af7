"""The container that sees the packets of a lab's bridge.

It is in the network of Docker's machine, where the bridge is, and may do nothing there but read packets. It has the
lab's labels, so that it goes with the lab. Its standard input ends with this process, and the container with it.

Tested by tests/integration/test_capture.py.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import docker.types
import requests

from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.container_exec import HEADER, RECEIVE_SIZE, STDERR, read_ahead
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

BRIDGE_OPTION: Final = "com.docker.network.bridge.name"
MEMORY: Final = "256m"
PROCESSES: Final = 8
ERROR_CHARS: Final = 400


def start(
    client: docker.DockerClient, image: str, project: str, snap: int, addresses: Sequence[str]
) -> ContainerSniffer:
    """Start a container that sees the packets of a lab.

    Raises EngineError, or what the SDK raises.
    """
    networks = client.api.networks(filters={"label": f"{labels.LAB}={project}"})
    if not networks:
        raise EngineError(f"the network of the lab {project} is gone")
    network = networks[0]
    bridge = (network.get("Options") or {}).get(BRIDGE_OPTION) or f"br-{network['Id'][:12]}"
    api = client.api
    own = {name: text for name, text in network["Labels"].items() if name.startswith(labels.PREFIX)}
    container = str(
        api.create_container(
            image,
            ["python3", "-m", "torrentnet.sniffer", bridge, str(snap), *addresses],
            labels=own,
            user="0",
            stdin_open=True,
            host_config=_host_config(api),
        )["Id"]
    )
    try:
        raw = api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        api.start(container)
    except BaseException:
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            api.remove_container(container, v=True, force=True)
        raise
    return ContainerSniffer(client, container, raw)


def _host_config(api: docker.APIClient) -> dict[str, Any]:
    config: dict[str, Any] = api.create_host_config(
        network_mode="host",
        # An engine with user namespaces shares its network only outside of them.
        userns_mode="host",
        cap_drop=["ALL"],
        cap_add=["NET_RAW"],
        read_only=True,
        security_opt=["no-new-privileges:true"],
        mem_limit=MEMORY,
        pids_limit=PROCESSES,
        auto_remove=True,
        # The packets are its output, and nobody's log.
        log_config=docker.types.LogConfig(type="none"),
    )
    return config


class ContainerSniffer:
    """See :class:`torrentnet.lab.engines.types.Sniffer`."""

    def __init__(self, client: docker.DockerClient, container: str, raw: Any) -> None:
        self._client = client
        self._container = container
        self._raw = raw
        # Over a Unix socket this is a file object around the socket; over TCP it may be the socket itself.
        self._socket: socket.socket = getattr(raw, "_sock", None) or raw
        self._buffer = bytearray(read_ahead(raw))
        self._errors = b""

    def read(self, timeout: float) -> bytes | None:
        """See the protocol. Raises EngineError where the program could not be run."""
        if output := self._take_output():
            return output
        try:
            self._socket.settimeout(timeout)
            data = self._socket.recv(RECEIVE_SIZE)
        except TimeoutError:
            return None
        except OSError:
            data = b""
        if not data:
            if self._errors:
                text = self._errors.decode("utf-8", "replace").strip()[-ERROR_CHARS:]
                raise EngineError(f"the container that captures packets has failed: {text}")
            return b""
        self._buffer += data
        return self._take_output() or None

    def _take_output(self) -> bytes:
        """Return the program's standard output; keep its standard error."""
        output = []
        buffer, position = self._buffer, 0
        while position + HEADER.size <= len(buffer):
            kind, length = HEADER.unpack_from(buffer, position)
            end = position + HEADER.size + length
            if end > len(buffer):
                break
            payload = bytes(buffer[position + HEADER.size : end])
            if kind == STDERR:
                self._errors = (self._errors + payload)[-RECEIVE_SIZE:]
            else:
                output.append(payload)
            position = end
        del buffer[:position]
        return b"".join(output)

    def stop(self) -> None:
        """See the protocol."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """See the protocol."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        response = getattr(self._raw, "_response", None)
        if response is not None:
            response.close()
        self._raw.close()
        self._socket.close()
        # It goes by itself; whoever returns from here must find nothing left.
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            self._client.api.remove_container(self._container, v=True, force=True)
