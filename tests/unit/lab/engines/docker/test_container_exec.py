"""Commands in a container, on an engine that answers in parts of any size."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

import docker
from torrentnet.lab.engines.docker import container_exec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
OUTPUT = container_exec.HEADER.pack(1, 4) + b"out\n" + container_exec.HEADER.pack(2, 5) + b"oops\n"


class StubEngine:
    """Answers what a command in a container asks of the Engine API.

    The answer to its start is sent in the given parts.
    """

    def __init__(self, path: Path, parts: tuple[bytes, ...]) -> None:
        self._parts = parts
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while request := reader.readline():
                size = 0
                while (line := reader.readline().strip()) != b"":
                    name, _, value = line.partition(b":")
                    size = int(value) if name.lower() == b"content-length" else size
                reader.read(size)
                path = request.split()[1]
                if path.endswith(b"/start"):
                    for part in self._parts:
                        connection.sendall(part)
                    return
                body = json.dumps({"Id": "exec"} if path.endswith(b"/exec") else {"ExitCode": 3}).encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(body) + body)


@pytest.fixture
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[docker.DockerClient]:
    engine = StubEngine(tmp_path / "engine.sock", request.param)
    made = docker.DockerClient(base_url=f"unix://{tmp_path / 'engine.sock'}", version="1.44")
    yield made
    made.close()
    engine.close()


@pytest.mark.parametrize(
    "client",
    [
        pytest.param((UPGRADED + OUTPUT,), id="with the head"),
        pytest.param((UPGRADED + OUTPUT[:9], OUTPUT[9:]), id="a part with the head"),
        pytest.param((UPGRADED, OUTPUT), id="after the head"),
    ],
    indirect=True,
)
def test_output_is_complete_however_it_arrives(client: docker.DockerClient) -> None:
    result = container_exec.run(client, "node", ["true"], timeout=60.0)
    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "oops\n")
