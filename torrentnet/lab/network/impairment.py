"""The seam for delay, jitter, corruption, duplication and reordering.

A kernel with netem does these at the sender, in the queue that limits the rate. Many kernels have no netem: there a
program in the receiving node can do them, behind :class:`UserspacePath`. Which of the two does a quality, or neither,
is found out by :mod:`torrentnet.lab.network.probe`; everything else only asks :class:`CapabilitySplit`.

Tested by tests/unit/lab/network/test_render.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.scenario.qualities import LinkQualities


@dataclass(frozen=True, slots=True)
class PacketImpairment:
    """Impairment of a directed pair's packets, besides rate, loss and cut.

    An impairment that changes nothing is false. Units as in :class:`torrentnet.lab.scenario.qualities.LinkQualities`:
    seconds, and shares from 0 to 1.
    """

    delay: float = 0.0
    jitter: float = 0.0
    corruption: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


IMPAIRMENTS: Final = tuple(field.name for field in fields(PacketImpairment))
"""The qualities of this seam, by name."""
TIMING: Final = frozenset({"delay", "jitter", "reordering"})
"""What delays a packet also varies the delay and lets packets overtake: these three come from one mechanism."""


class UserspacePath(Protocol):
    """A path that impairs packets in the receiving node, by a program of its own.

    The rate was limited at the sender. The script runs as root with all capabilities, in the node's network namespace;
    the program may go on running afterwards. A node that starts again has neither rules nor program, and gets both
    anew.
    """

    @property
    def qualities(self) -> frozenset[str]:
        """The members of :data:`IMPAIRMENTS` that it supports."""
        ...

    @property
    def trial(self) -> str:
        """A shell command that succeeds where the path works.

        Otherwise the command prints why the path does not work. The command leaves nothing behind.
        """
        ...

    def script(self, address: str, incoming: Mapping[str, PacketImpairment]) -> str:
        """Return shell lines that make rules and program match ``incoming``.

        ``incoming``: source IPv4 address to impairment. ``address`` is the node's own. With nothing incoming the lines
        remove the rules and end the program; then, and on a fresh node, neither may exist. They fail (``set -e`` is on)
        where the program cannot do its work.
        """
        ...


@dataclass(frozen=True, slots=True)
class CapabilitySplit:
    """Which qualities of this seam netem does, and which the user-space path does."""

    netem: frozenset[str] = frozenset()
    userspace: frozenset[str] = frozenset()
    path: UserspacePath | None = None

    def at_sender(self, asked: LinkQualities) -> PacketImpairment:
        """Return what netem has to do to a pair's packets."""
        return _only(asked, self.netem)

    def at_receiver(self, asked: LinkQualities) -> PacketImpairment:
        """Return what the user-space path has to do to a pair's packets."""
        return _only(asked, self.userspace)


def _only(asked: LinkQualities, names: frozenset[str]) -> PacketImpairment:
    values = {name: getattr(asked, name) or 0.0 for name in IMPAIRMENTS if name in names}
    if not values.get("delay"):
        # Without a delay no packet waits, so none can be overtaken; netem refuses that.
        values.pop("reordering", None)
    return PacketImpairment(**values)
