"""What the drivers ask of a client, whatever it is called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torrentnet.wire.endpoint import Endpoint
    from torrentnet.wire.info import Info


class AdapterError(Exception):
    """The client cannot go on; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client is to do."""

    info: Info
    torrent: Path
    """A .torrent with the announce URL of this very node."""
    seed: bool
    """Whether the file is in :attr:`directory` already."""
    directory: Path
    """Where the file is, or will be."""
    state: Path
    """A directory for the client's own files; it outlives the program."""
    listen: Endpoint
    tracker: Endpoint
    upload_rate: float | None
    """Bytes a second; None is no limit."""


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """How far a client is, as it says itself."""

    pieces_held: int
    """Pieces that it has verified."""
    complete: bool
    """Whether it calls itself a seed."""
    announced: bool
    """Whether the tracker has answered its announce."""
    downloaded: int = 0
    uploaded: int = 0
    peers: int = 0


class ClientAdapter(ABC):
    """One client with one file. ``said`` takes lines that it prints."""

    name: str
    """As on the driver's command line."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        self.settings = settings
        self.on_output = on_output

    @abstractmethod
    def version(self) -> str:
        """What the client calls itself. Raises :class:`AdapterError` where it is not installed."""

    @abstractmethod
    def start(self) -> None:
        """Start it. Raises :class:`AdapterError`."""

    @abstractmethod
    def wait(self, timeout: float, wake: int) -> None:
        """Until something may have changed, ``seconds`` at most, or until the descriptor ``wake`` can be read."""

    @abstractmethod
    def poll(self) -> ClientStatus:
        """How far it is. Raises :class:`AdapterError` when it has ended or given up."""

    @abstractmethod
    def stop(self, timeout: float) -> None:
        """Let it say good-bye to the tracker, and end it after ``seconds`` at the latest."""
