"""The network of a lab that an earlier command has left up.

Each change is written down like those before it, so that the next process knows it, too, and ``torrentnet status``
restores the rules of a node that was started again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.home import read_faults, write_faults
from torrentnet.lab.network import capabilities, persisted_rules
from torrentnet.lab.network.loopback import LoopbackTranslation
from torrentnet.lab.network.persisted_rules import PersistedRules
from torrentnet.lab.run.timeline.network_faults import NetworkFaults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.home import ActiveFault


def adopt_faults(home: Path, project: str, engine: Engine, seed: int = 0) -> NetworkFaults:
    """Return the network faults of a lab that an earlier process has left up.

    The engine has adopted the lab; from now on it reports its verbs to the result. ``seed`` is the plan's. Raises
    LabError where what is in force cannot be read.
    """
    rules = persisted_rules.read_rules(home, project)
    told = {node: LoopbackTranslation(one.others) for node, one in rules.items() if one.others is not None}

    def record(active: list[ActiveFault]) -> None:
        incarnations = {}
        for node in faults.scripts():
            with contextlib.suppress(EngineError):
                alive = engine.state(node).status in {NodeStatus.RUNNING, NodeStatus.PAUSED}
                incarnations[node] = engine.incarnation(node) if alive else ""
        # What is in force does not depend on what can be written.
        with contextlib.suppress(OSError):
            write_faults(home, project, active)
            persisted_rules.persist_rules(home, project, rules_in_force(faults, incarnations))

    faults = NetworkFaults(
        engine,
        lambda: capabilities.find_capabilities(engine, seed),
        on_change=record,
        translate=lambda _: told,
    )
    faults.adopt(read_faults(home, project), rules)
    engine.observe(faults)
    return faults


def rules_in_force(faults: NetworkFaults, incarnations: Mapping[str, str]) -> dict[str, PersistedRules]:
    """Return the rules to persist; ``incarnations`` are of the nodes that have them."""
    told = faults.translations()
    return {
        node: PersistedRules(incarnations.get(node, ""), script, told[node].others if node in told else None)
        for node, script in faults.scripts().items()
    }
