"""What the observer is told about the program, its files and the other nodes.

Tested by tests/unit/adapters/observer/test_main.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.wire.endpoint import Endpoint

ROLES: Final = ("tracker", "share", "get", "run")
READY_TIMEOUT: Final = 10.0
MAX_OUTPUT: Final = 4 * 1024 * 1024
QUIET: Final = 0.35
ANSWER_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class WantedFile:
    """The file that the node shares or gets."""

    name: str
    size: int
    sha256: str
    """In hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class ObserverSettings:
    """Settings of one observed node."""

    role: str
    """One of :data:`ROLES`."""
    name: str
    """The node's name."""
    argv: tuple[str, ...]
    """The program's command line."""
    directory: Path
    """The node's directory: the program's working directory and home."""
    listen: Endpoint | None = None
    """Where the program was told to listen."""
    tracker: Endpoint | None = None
    """The tracker's address as the program was told."""
    program: Path | None = None
    """Directory tree that is copied into :attr:`directory` before the program starts."""
    files: str = ""
    """Folder below :attr:`directory` where the program keeps its files."""
    share: Path | None = None
    """File that is copied into :attr:`files` before the program starts."""
    torrent: Path | None = None
    """The file's .torrent, which is written into :attr:`directory` with the tracker's address."""
    wanted: WantedFile | None = None
    """The file that the node shares or gets; of any other node, the file that datagrams may mention."""
    ready: float = READY_TIMEOUT
    """Seconds after which a living program counts as up, whatever its sockets."""
    user: tuple[int, int] | None = None
    """User and group of the program; None for the observer's own."""
    says: tuple[tuple[str, str], ...] = ()
    """Commands of the console, with the program's own words for them."""
    nodes: tuple[tuple[str, Endpoint], ...] = ()
    """Every node of the lab: its own address, with the port that it was told to listen on."""
    datagrams: bool = False
    """Whether UDP datagrams are reported."""
    max_output: int = MAX_OUTPUT
    """Bytes of output after which the program's lines are dropped."""
    quiet: float = QUIET
    """Seconds of silence that end a prompt or an answer."""
    answer_timeout: float = ANSWER_TIMEOUT
    """Longest wait for an answer to a typed line, in seconds."""

    @property
    def address(self) -> str:
        """The node's own IP address, as other nodes see it; empty if it is not known."""
        own = dict(self.nodes).get(self.name, self.listen)
        return own.ip if own is not None else ""
