"""Base class of the clients that run as a process and are controlled by remote procedure calls.

Tested by tests/interop/test_every_pair.py.
"""

from __future__ import annotations

import select
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from torrentnet.adapters.adapter import AdapterError, ClientAdapter
from torrentnet.adapters.child_process import ChildProcess
from torrentnet.adapters.rpc import RpcUnavailable

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

    from torrentnet.adapters.adapter import ClientSettings, ClientStatus
    from torrentnet.adapters.rpc import RpcConnection


class RpcAdapter(ClientAdapter):
    """A client in a child process; ``rpc`` connects to the client once it runs."""

    display_name: str
    """The program's name in messages."""
    start_timeout: float
    """Seconds until the first call must be answered."""
    stop_signal: signal.Signals
    """The signal on which the client sends its stopped event to the tracker and exits."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None], rpc: RpcConnection) -> None:
        super().__init__(settings, on_output)
        self._child: ChildProcess | None = None
        self._rpc = rpc

    @abstractmethod
    def _ping(self) -> None:
        """Make a call without effect. Raises :class:`RpcUnavailable`."""

    @abstractmethod
    def _read_status(self) -> ClientStatus:
        """Return the status. Raises :class:`RpcUnavailable`, or :class:`AdapterError` if the client has failed."""

    @abstractmethod
    def _on_line(self, line: str) -> None:
        """Handle a line of the client's output; called in the reader's thread."""

    def _start_process(self, argv: Sequence[str]) -> None:
        """Start the process and wait until it answers. Raises :class:`AdapterError`."""
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
