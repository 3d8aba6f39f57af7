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

    title: str
    """As people write its name."""
    start_s: float
    """Seconds that it has to answer its first call."""
    goodbye: signal.Signals
    """The signal at which it says good-bye to the tracker."""

    def __init__(self, job: ClientSettings, said: Callable[[str], None], rpc: RpcConnection) -> None:
        super().__init__(job, said)
        self._child: ChildProcess | None = None
        self._rpc = rpc

    @abstractmethod
    def _hello(self) -> None:
        """Call something that changes nothing. Raises :class:`RpcUnavailable`."""

    @abstractmethod
    def _standing(self) -> ClientStatus:
        """How far it is. Raises :class:`RpcUnavailable`, and :class:`AdapterError` when it has given up."""

    @abstractmethod
    def _heard(self, line: str) -> None:
        """It has printed a line."""

    def _begin(self, argv: Sequence[str]) -> None:
        """Start the process, and return when it answers. Raises :class:`AdapterError`."""
        self._child = ChildProcess(argv, self.job.state, self._heard)
        deadline = time.monotonic() + self.start_s
        while True:
            self._child.check()
            try:
                self._hello()
                return
            except RpcUnavailable:
                if time.monotonic() > deadline:
                    raise AdapterError(f"{self.title} does not answer after {self.start_s:g} s") from None
                time.sleep(0.05)

    def wait(self, seconds: float, wake: int) -> None:
        """See :meth:`Client.wait`."""
        select.select([wake], [], [], seconds)

    def poll(self) -> ClientStatus:
        """See :meth:`Client.poll`."""
        assert self._child is not None
        self._child.check()
        try:
            return self._standing()
        except RpcUnavailable as error:
            self._child.check()
            raise AdapterError(f"{self.title} does not answer any more: {error}") from None

    def stop(self, seconds: float) -> None:
        """See :meth:`Client.stop`."""
        if self._child is not None:
            self._child.end(self.goodbye, seconds)
        self._rpc.close()
