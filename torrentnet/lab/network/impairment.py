"""The seam for delay, jitter, corruption, duplication and reordering.

A kernel with netem does these at the sender, in the same queue that gives the rate. Many kernels have no netem: there
a program in the receiving node can do them, behind :class:`UserspacePath`. Which of the two, or neither, does a quality
is found by :mod:`torrentnet.lab.network.probe`; the rest of the fault engine only asks :class:`CapabilitySplit`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.scenario.qualities import LinkQualities


@dataclass(frozen=True, slots=True)
class PacketImpairment:
    """What is done to the packets of one directed pair beside rate, loss and cut; false where that is nothing.

    Units as in :class:`torrentnet.lab.scenario.qualities.LinkQualities`: seconds, and shares from 0 to 1.
    """

    delay: float = 0.0
    jitter: float = 0.0
    corruption: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


IMPAIRMENTS = tuple(field.name for field in fields(PacketImpairment))
"""The qualities of this seam, by name."""
TIMING = frozenset({"delay", "jitter", "reordering"})
"""Who delays a packet also varies the delay and lets others overtake: these three go together."""


class UserspacePath(Protocol):
    """Impairs packets in the receiving node, in a program of its own.

    The rate has been given at the sender. The script runs as root with all capabilities, in the node's network
    namespace; the program may go on afterwards. A node that is started again has neither rules nor program, and gets
    both again.
    """

    @property
    def qualities(self) -> frozenset[str]:
        """Those of :data:`IMPAIRMENTS` that it can do."""
        ...

    @property
    def trial(self) -> str:
        """A shell command that succeeds where it works, and else says why not. It leaves nothing behind."""
        ...

    def script(self, address: str, incoming: Mapping[str, PacketImpairment]) -> str:
        """Shell lines that make rules and program follow ``incoming``: source's IPv4 address to what is done.

        ``address`` is the node's own. With nothing incoming they remove the rules and end the program; then, and on a
        fresh node, neither may be there. They fail (``set -e`` is on) where the program cannot do its work.
        """
        ...


@dataclass(frozen=True, slots=True)
class CapabilitySplit:
    """Who does which quality of this seam."""

    netem: frozenset[str] = frozenset()
    userspace: frozenset[str] = frozenset()
    path: UserspacePath | None = None

    def at_sender(self, asked: LinkQualities) -> PacketImpairment:
        """What netem has to do to a pair."""
        return _only(asked, self.netem)

    def at_receiver(self, asked: LinkQualities) -> PacketImpairment:
        """What the user-space path has to do to a pair."""
        return _only(asked, self.userspace)


def _only(asked: LinkQualities, names: frozenset[str]) -> PacketImpairment:
    values = {name: getattr(asked, name) or 0.0 for name in IMPAIRMENTS if name in names}
    if not values.get("delay"):
        # Without a delay no packet waits, so that none can be overtaken; netem calls that an error.
        values.pop("reordering", None)
    return PacketImpairment(**values)
