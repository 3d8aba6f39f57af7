"""A program that a scenario brings along.

It is a student's submission, or an engineer's own program.

Tested by tests/unit/lab/scenario/resolve/test_programs.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

READY_TIMEOUT: Final = 10.0
"""Seconds in which a program's sockets must appear."""


class Addresses(StrEnum):
    """The addresses that a program is told."""

    MACHINE = "machine"
    """127.0.0.1 with a port of each node's own, translated to the nodes: as on the one machine of an assignment."""
    REAL = "real"
    """The nodes' own addresses."""


@dataclass(frozen=True, slots=True)
class ProgramPlan:
    """A program that the lab knows by its command lines alone."""

    name: str
    """As the scenario names it."""
    folder: Path | None
    """Its files; None for an image that has everything."""
    digest: str
    """SHA-256 of the files' names and contents, in hexadecimal; empty without a folder."""
    image: str
    """The Docker image that it runs in; empty for the lab's own, which has Python, and with ``dockerfile``."""
    commands: tuple[tuple[str, str], ...]
    """``tracker``, ``share``, ``get`` or ``run``, with the command line; it may have placeholders."""
    files: str = ""
    """Folder below its working directory where it keeps what it shares and gets."""
    says: tuple[tuple[str, str], ...] = ()
    """Commands of the console, with the program's own words for them."""
    ready: float = READY_TIMEOUT
    """Seconds in which its sockets must appear."""
    addresses: Addresses = Addresses.MACHINE
    bittorrent: bool = False
    """Whether it speaks BitTorrent's protocols, and receives a .torrent."""
    build: str = ""
    """Shell command that is run once in its folder before any node starts."""
    install: str = ""
    """Path of a requirements file in its folder."""
    dockerfile: str = ""
    """Path of a Dockerfile in its folder, from which the image is built; then ``image`` is empty."""
    size: int = 0
    """Bytes of its files."""

    def command(self, role: str) -> str:
        """Return the command line for a role; empty where the program has none."""
        return dict(self.commands).get(role, "")
