"""A whole experiment.

Tested by tests/unit/lab/scenario/resolve/test_programs.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.plan.nodes import NodeProgram

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.plan.expectations import ExpectationPlan
    from torrentnet.lab.scenario.plan.nodes import FilePlan, NodePlan, TorrentPlan
    from torrentnet.lab.scenario.qualities import LinkOverride


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole experiment."""

    name: str
    about: str
    source: Path
    seed: int
    time_limit: float
    files: tuple[FilePlan, ...]
    nodes: tuple[NodePlan, ...]
    events: tuple[EventPlan, ...]
    """Events with a planned time, by time, then those with a trigger, in the order of the file."""
    expectations: tuple[ExpectationPlan, ...] = ()
    links: tuple[LinkOverride, ...] = ()
    """The network at t = 0, oldest override first. Events override these, and nothing heals them."""
    parameters: tuple[tuple[str, str], ...] = ()
    """The scenario's parameters with their current values, in the order of the file."""
    torrents: tuple[TorrentPlan, ...] = ()

    @property
    def foreign_programs(self) -> tuple[NodeProgram, ...]:
        """The programs other than ours that nodes run, each once."""
        return tuple(dict.fromkeys(node.program for node in self.nodes if node.program is not NodeProgram.OURS))
