"""The commands that change a lab's network, for ``explain``.

The commands are those of the network's own renderer. The addresses of a lab are known only when its subnet has been
chosen; here they are those of the first lab on a machine.

Tested by tests/unit/lab/tools/test_explain.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.lab.engines.subnets import assign_addresses, choose_subnet
from torrentnet.lab.network import render
from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.network.impairment import IMPAIRMENTS, CapabilitySplit
from torrentnet.lab.network.loopback import translations
from torrentnet.lab.network.node_settings import node_settings
from torrentnet.lab.scenario.qualities import LinkOverride

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.scenario.plan.plan import Plan

NetworkCommands: TypeAlias = Callable[[Sequence[LinkOverride] | None, Sequence[LinkOverride]], Iterable[str]]
"""Returns the commands that take the network from some overrides to others, both oldest first.

The first is None for nodes that have just started.
"""

MAX_NODES_SHOWN: Final = 3
"""Nodes whose commands are shown for one change of the network."""


def network_commands(
    plan: Plan,
    split: CapabilitySplit | None = None,
    addresses: Mapping[str, str] | None = None,
    max_nodes: int | None = MAX_NODES_SHOWN,
) -> NetworkCommands:
    """Return what renders the commands of a plan's network.

    ``split`` says who provides which quality; by default a kernel with netem provides all. ``addresses`` has every
    node, in the order of the plan. Of the nodes that one change affects, ``max_nodes`` are shown, None for all.
    """
    split = split or CapabilitySplit(netem=frozenset(IMPAIRMENTS))
    names = [node.name for node in plan.nodes]
    if addresses is None:
        assigned = assign_addresses(choose_subnet(len(names), ()), names)
        addresses = {name: str(address) for name, address in assigned.items()}
    known = dict(addresses)

    told = translations(plan, known)

    def commands(before: Sequence[LinkOverride] | None, after: Sequence[LinkOverride]) -> Iterator[str]:
        old = node_settings(_state(before or ()).links(), known, split, told if before is not None else None)
        new = node_settings(_state(after).links(), known, split, told)
        scripts = [text for name in names if (text := render.explain(new[name], old[name], split))]
        shown = scripts if max_nodes is None else scripts[:max_nodes]
        for script in shown:
            yield from script.splitlines()
        if len(shown) < len(scripts):
            more = len(scripts) - len(shown)
            yield f"# ... and the like in {more} more node{'s' if more > 1 else ''}"

    return commands


def _state(overrides: Sequence[LinkOverride]) -> NetworkState:
    state = NetworkState()
    for override in overrides:
        state, _ = state.add(override)
    return state
