"""The interface between a client node and the program that it runs.

Tested by tests/unit/adapters/test_node.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.wire.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info


class AdapterError(LocalError):
    """The program cannot be started, has failed, or has exited."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client shares or downloads, and where."""

    info: Info
    torrent: Path
    """Path of a .torrent file that holds this node's announce URL."""
    seed: bool
    """Whether the client shares a complete file, rather than downloads it."""
    directory: Path
    """Directory of the shared or downloaded file."""
    state: Path
    """Directory for the client's own files; kept after the client has exited."""
    listen: Endpoint
    tracker: Endpoint
    upload_rate: float | None
    """Bytes per second; None means unlimited."""


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """The progress that a client reports."""

    pieces_held: int
    """Number of pieces that the client has verified."""
    complete: bool
    """Whether the client reports that it is a seed."""
    announced: bool
    """Whether the tracker has answered the client's announce."""
    downloaded: int = 0
    """Payload bytes received."""
    uploaded: int = 0
    """Payload bytes sent."""
    peers: int = 0
    """Number of connected peers."""


class ClientAdapter(ABC):
    """Base class of the clients, each with one file.

    ``on_output`` receives the warnings that the client prints.
    """

    name: str
    """The program's name on the command line."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self.settings = settings
        self.on_output = on_output

    @abstractmethod
    def version(self) -> str:
        """Return the client's version.

        Raises :class:`AdapterError` if the client is not installed.
        """

    @abstractmethod
    def start(self) -> None:
        """Start the client. Raises :class:`AdapterError`."""

    @abstractmethod
    def wait(self, timeout: float, wake: int) -> None:
        """Wait until the status may have changed.

        The wait also ends when the descriptor ``wake`` is readable or ``timeout`` has passed.
        """

    @abstractmethod
    def poll(self) -> ClientStatus:
        """Return the client's current status.

        Raises :class:`AdapterError` if the client has exited or failed.
        """

    @abstractmethod
    def stop(self, timeout: float) -> None:
        """Make the client send its stopped event to the tracker and exit.

        The client is killed after ``timeout``.
        """
