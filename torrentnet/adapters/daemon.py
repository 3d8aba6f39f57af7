"""A client that is a process of its own and is driven by remote procedure calls: its start, its watch and its end."""

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
    """See :class:`ClientAdapter`. ``rpc`` leads to it once it runs."""

    display_name: str
    """As people write its name."""
    start_timeout: float
    """Seconds that it has to answer its first call."""
    stop_signal: signal.Signals
    """The signal at which it says good-bye to the tracker."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None], rpc: RpcConnection) -> None:
        super().__init__(settings, on_output)
        self._child: ChildProcess | None = None
        self._rpc = rpc

    @abstractmethod
    def _ping(self) -> None:
        """Call something that changes nothing. Raises :class:`RpcUnavailable`."""

    @abstractmethod
    def _read_status(self) -> ClientStatus:
        """How far it is. Raises :class:`RpcUnavailable`, and :class:`AdapterError` when it has given up."""

    @abstractmethod
    def _on_line(self, line: str) -> None:
        """It has printed a line."""

    def _start_process(self, argv: Sequence[str]) -> None:
        """Start the process, and return when it answers. Raises :class:`AdapterError`."""
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
        """See :meth:`Client.wait`."""
        select.select([wake], [], [], timeout)

    def poll(self) -> ClientStatus:
        """See :meth:`Client.poll`."""
        assert self._child is not None
        self._child.raise_if_exited()
        try:
            return self._read_status()
        except RpcUnavailable as error:
            self._child.raise_if_exited()
            raise AdapterError(f"{self.display_name} does not answer any more: {error}") from None

    def stop(self, timeout: float) -> None:
        """See :meth:`Client.stop`."""
        if self._child is not None:
            self._child.terminate(self.stop_signal, timeout)
        self._rpc.close()
