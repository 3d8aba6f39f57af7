"""The user-space path, for kernels that have no netem.

``python3 -m torrentnet.shaper`` runs in the receiving node. The path's rules come before those of loss and cut: a
packet is lost or cut after its delay.
"""

from __future__ import annotations

import shlex
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from torrentnet.lab.network.impairment import IMPAIRMENTS, PacketImpairment
from torrentnet.shaper import rules
from torrentnet.shaper.state import QueueImpairment, ShaperState, format_state

if TYPE_CHECKING:
    from collections.abc import Mapping

# A script has one document inside another, so the end must be a word that neither shell nor iptables knows.
HERE: Final = "{command} <<END\n{text}END\n"
REMOVE: Final = f"*mangle\n:{rules.CHAIN} - [0:0]\n-F INPUT\n-X {rules.CHAIN}\nCOMMIT\n"
EXIT_NOT_RUNNING: Final = 3
"""The shaper's exit status where none runs."""


class UserspaceShaper:
    """A :class:`torrentnet.lab.network.impairment.UserspacePath`."""

    qualities = frozenset(IMPAIRMENTS)
    trial = shlex.join(rules.PROBE)

    def __init__(self, seed: int = 0) -> None:
        """Use the run's ``seed`` to decide which packets are hit.

        Each node decides differently.
        """
        self._seed = seed

    def script(self, address: str, incoming: Mapping[str, PacketImpairment]) -> str:
        """See :meth:`torrentnet.lab.network.impairment.UserspacePath.script`."""
        restore = shlex.join(rules.RESTORE)
        if not incoming:
            stop = f"{shlex.join(rules.STOP)} >/dev/null 2>&1 || [ $? -eq {EXIT_NOT_RUNNING} ]\n"
            return HERE.format(command=restore, text=REMOVE) + stop
        queues = {source: rules.queue_number(source) for source in incoming}
        seed = (self._seed << 32 | int(IPv4Address(address))) % (1 << 63)
        state = ShaperState({queues[source]: _queue_impairment(done) for source, done in incoming.items()}, seed)
        return HERE.format(command=shlex.join(rules.APPLY), text=format_state(state)) + HERE.format(
            command=restore, text=rules.input_rules(queues)
        )


def _queue_impairment(impairment: PacketImpairment) -> QueueImpairment:
    return QueueImpairment(
        delay_ns=round(impairment.delay * 1e6) * 1000,
        jitter_ns=round(impairment.jitter * 1e6) * 1000,
        corruption=round(impairment.corruption, 8),
        duplication=round(impairment.duplication, 8),
        reordering=round(impairment.reordering, 8),
    )
