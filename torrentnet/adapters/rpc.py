"""JSON remote procedure calls over HTTP to a program on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RPC_TIMEOUT: Final = 10.0
MAX_RESPONSE: Final = 64 * 1024 * 1024
"""Bytes of a response's body."""


class RpcUnavailable(Exception):
    """No program answers at the address, or not yet."""


class RpcConnection:
    """A kept-alive HTTP connection. ``address`` is a loopback port or the path of a Unix socket."""

    def __init__(self, address: int | str, path: str) -> None:
        self._address = address
        self._path = path
        self._connection: http.client.HTTPConnection | None = None

    def post(self, document: object, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        """Post a JSON document; return status, headers and parsed body (None if it is not JSON).

        Raises :class:`RpcUnavailable`.
        """
        body = json.dumps(document)
        for attempt in (1, 2):
            fresh = self._connection is None
            try:
                connection = self._connect()
                connection.request("POST", self._path, body, {"Content-Type": "application/json", **headers})
                response = connection.getresponse()
                raw = response.read(MAX_RESPONSE)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # The server may have closed an idle connection: retry once on a new one.
                if fresh or attempt == 2:
                    raise RpcUnavailable(str(error)) from None
                continue
            with contextlib.suppress(ValueError):
                return response.status, dict(response.getheaders()), json.loads(raw)
            return response.status, dict(response.getheaders()), None
        raise AssertionError("there are two attempts")

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            # Set at once, so that close() closes the socket of an attempt that fails.
            connection = self._connection = http.client.HTTPConnection("127.0.0.1", None, timeout=RPC_TIMEOUT)
            if isinstance(self._address, int):
                connection.sock = socket.create_connection(("127.0.0.1", self._address), RPC_TIMEOUT)
            else:
                connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.sock.settimeout(RPC_TIMEOUT)
                connection.sock.connect(self._address)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
