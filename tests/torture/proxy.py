"""A proxy before the Docker Engine's socket, which can cut its streams."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = "/var/run/docker.sock"


class EngineProxy:
    """Passes every connection on, until it is cut."""

    def __init__(self, path: Path) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(100)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._requests: dict[socket.socket, bytes] = {}
        """The last request of each client."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(ENGINE)
                self._pairs.append((client, engine))
                for source, target in ((client, engine), (engine, client)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if data.startswith((b"GET ", b"POST ")):
                    self._requests[source] = data.partition(b"\n")[0]
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End the streams: what follows events and logs."""
        streams = [
            pair
            for pair in self._pairs
            if any(word in self._requests.get(pair[0], b"") for word in (b"/events", b"/logs"))
        ]
        self._end(streams)

    def _end(self, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Listen no longer, and end all connections."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._end(self._pairs)
        for pair in self._pairs:
            for end in pair:
                end.close()
