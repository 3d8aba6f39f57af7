"""One HTTP connection to a client on this machine, for its JSON remote procedure calls."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RPC_TIMEOUT = 10.0
MAX_RESPONSE = 64 * 1024 * 1024


class RpcUnavailable(Exception):
    """Nobody answers there (yet)."""


class RpcConnection:
    """Posts JSON documents. ``where`` is a port of the loopback interface or the path of a Unix socket."""

    def __init__(self, address: int | str, path: str) -> None:
        self._address = address
        self._path = path
        self._connection: http.client.HTTPConnection | None = None

    def post(self, document: object, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        """Status, headers and the parsed answer (None where it is no JSON). Raises :class:`RpcUnavailable`."""
        body = json.dumps(document)
        for attempt in (1, 2):
            fresh = self._connection is None
            try:
                connection = self._connect()
                connection.request("POST", self._path, body, {"Content-Type": "application/json", **headers})
                answer = connection.getresponse()
                raw = answer.read(MAX_RESPONSE)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A connection that was kept may have been closed meanwhile: once more on a new one.
                if fresh or attempt == 2:
                    raise RpcUnavailable(str(error)) from None
                continue
            with contextlib.suppress(ValueError):
                return answer.status, dict(answer.getheaders()), json.loads(raw)
            return answer.status, dict(answer.getheaders()), None
        raise AssertionError("there are two attempts")

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", None, timeout=RPC_TIMEOUT)
            if isinstance(self._address, int):
                connection.sock = socket.create_connection(("127.0.0.1", self._address), RPC_TIMEOUT)
            else:
                connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.sock.settimeout(RPC_TIMEOUT)
                connection.sock.connect(self._address)
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
