"""Control a program on this machine by remote procedure calls."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from torrentnet.adapters.adapter import AdapterError, ClientAdapter
from torrentnet.adapters.child_process import ChildProcess

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.adapters.adapter import ClientSettings, ClientStatus

RPC_TIMEOUT: Final = 10.0
MAX_RESPONSE: Final = 64 * 1024 * 1024
"""Bytes of a response's body."""


class RpcUnavailable(Exception):
    """No program answers at the address."""


class HttpConnection:
    """A persistent HTTP connection to a client.

    ``address`` is a loopback port or the path of a Unix socket.
    """

    def __init__(self, address: int | str) -> None:
        self._address = address
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, document: object, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        """Post a JSON document; return the status, the headers and the parsed body.

        The body is None if it is not JSON. Raises :class:`RpcUnavailable`.
        """
        return self._post(path, json.dumps(document), {"Content-Type": "application/json", **headers})

    def post_form(self, path: str, fields: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        """Post the fields of a form; return and raise what :meth:`post` does."""
        return self._post(path, urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})

    def _post(self, path: str, body: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        reused = self._connection is not None
        try:
            connection = self._connect()
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            raw = response.read(MAX_RESPONSE)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if reused:
                # The server may have closed the idle connection: retry on a new one.
                return self._post(path, body, headers)
            raise RpcUnavailable(str(error)) from None
        parsed = None
        with contextlib.suppress(ValueError):
            parsed = json.loads(raw)
        return response.status, dict(response.getheaders()), parsed

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            # Assigned first, so that close() closes the socket if the connection fails.
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


class RpcConnection(Protocol):
    """What an adapter does with any kind of connection."""

    def close(self) -> None:
        """Release the connection; the next call makes a new one."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=RpcConnection)


class RpcAdapter(ClientAdapter, Generic[ConnectionT]):
    """Base class of the clients that run in a child process.

    ``rpc`` connects to the client once the client runs.
    """

    display_name: str
    """The program's name in messages."""
    start_timeout: float
    """Seconds until the first call must be answered."""
    stop_signal: signal.Signals
    """The signal on which the client sends its stopped event to the tracker and exits."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None], rpc: ConnectionT) -> None:
        super().__init__(settings, on_output)
        self._child: ChildProcess | None = None
        self._rpc = rpc

    @abstractmethod
    def _ping(self) -> None:
        """Make a call without effect. Raises :class:`RpcUnavailable`."""

    @abstractmethod
    def _read_status(self) -> ClientStatus:
        """Return the client's status.

        Raises :class:`RpcUnavailable`, or :class:`AdapterError` if the client has failed.
        """

    @abstractmethod
    def _on_line(self, line: str) -> None:
        """Handle a line of the client's output; called in the reader's thread."""

    def _start_process(self, argv: Sequence[str]) -> None:
        """Start the client and wait until it answers. Raises :class:`AdapterError`."""
        self._child = ChildProcess(argv, self.settings.state, self._on_line)
        deadline = time.monotonic() + self.start_timeout
        while True:
            self._child.raise_if_exited()
            try:
                self._ping()
                return
            except RpcUnavailable:
                if time.monotonic() > deadline:
                    raise AdapterError(f"{self.display_name} does not answer after {self.start_timeout:g} s") from None
                time.sleep(0.05)

    def wait(self, timeout: float, wake: int) -> None:
        select.select([wake], [], [], timeout)

    def poll(self) -> ClientStatus:
        assert self._child is not None
        self._child.raise_if_exited()
        try:
            return self._read_status()
        except RpcUnavailable as error:
            self._child.raise_if_exited()
            raise AdapterError(f"{self.display_name} no longer answers: {error}") from None

    def stop(self, timeout: float) -> None:
        if self._child is not None:
            self._child.terminate(self.stop_signal, timeout)
        self._rpc.close()
