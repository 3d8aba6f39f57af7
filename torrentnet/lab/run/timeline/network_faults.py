"""The network faults of one lab: link overrides, applied and removed.

Overrides are applied to every node that is alive, counted, and removed. The scenario's links are the first overrides
and stay. A node that starts gets the rules in force at once; a node that ends or is paused gets them when it is back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError
from torrentnet.lab.home import ActiveFault
from torrentnet.lab.network.controller import NetworkController
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.network.desired_state import NetworkState, changed_pairs
from torrentnet.lab.network.netns_exec import NetnsExec
from torrentnet.lab.network.render import OPEN_GATE
from torrentnet.lab.run.timeline.schedule import FaultCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.network.controller import NodeUpdate
    from torrentnet.lab.network.loopback import LoopbackTranslation
    from torrentnet.lab.network.persisted_rules import PersistedRules
    from torrentnet.lab.network.probe import Capabilities
    from torrentnet.lab.scenario.qualities import LinkOverride, Pair

BATCH_THRESHOLD: Final = 8
"""From this number of nodes on, one command for all of them is faster than one for each."""


@dataclass(frozen=True, slots=True)
class OverrideResult:
    """A link override that has been put in force."""

    number: int
    nodes: tuple[str, ...]
    """The nodes whose rules have changed at once."""
    problems: tuple[str, ...]
    """Why it is not in force in a node that is alive."""


@dataclass(slots=True)
class _ActiveOverride:
    override: LinkOverride
    since: float
    link: bool
    dropped: Mapping[Pair, Counters] = field(default_factory=dict)
    """The counters of cuts and losses before it."""
    shaped: Mapping[Pair, Counters] = field(default_factory=dict)
    """The counters of rates and delays before it."""
    nodes: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    """How often each node had been started, and whether it was alive."""


class NetworkFaults:
    """The link overrides of one lab, and the nodes in which they are in force.

    Safe to call from any thread; observes the engine's nodes. The engine is not called before the first override.
    """

    def __init__(
        self,
        engine: Engine,
        find_capabilities: Callable[[], Capabilities],
        *,
        on_change: Callable[[list[ActiveFault]], None] = lambda _: None,
        translate: Callable[[Mapping[str, str]], Mapping[str, LoopbackTranslation]] = lambda _: {},
    ) -> None:
        """Prepare for the first override, without calling the engine.

        ``find_capabilities`` is called for the first override; ``on_change`` whenever what is in force changes;
        ``translate`` once, with each node's address.
        """
        self._engine = engine
        self._find_capabilities = find_capabilities
        self._on_change = on_change
        self._translate = translate
        self._changing = threading.Lock()
        """Held while overrides are applied or removed: one change at a time."""
        self._guard = threading.Lock()
        self._state = NetworkState()
        self._in_force: dict[int, _ActiveOverride] = {}
        self._controller: NetworkController | None = None
        self._starts: Counter[str] = Counter()
        self._alive: set[str] = set()
        self._exec = NetnsExec(engine.exec_root, engine.batch_exec)

    # -- the engine's nodes ------------------------------------------------------------------------

    def node_started(self, node: str) -> None:
        with self._guard:
            self._starts[node] += 1
            self._alive.add(node)
            controller = self._controller
        if controller is not None:
            self._require([controller.node_started(node)])

    def node_unreachable(self, node: str) -> None:
        with self._guard:
            self._alive.discard(node)
            controller = self._controller
        if controller is not None:
            controller.node_unreachable(node)

    def node_reachable(self, node: str) -> None:
        with self._guard:
            self._alive.add(node)
            controller = self._controller
        if controller is not None:
            self._require([controller.node_reachable(node)])

    def _require(self, updates: Iterable[NodeUpdate | None]) -> None:
        if problems := self._problems(updates):
            raise EngineError("; ".join(problems))

    def _problems(self, updates: Iterable[NodeUpdate | None]) -> list[str]:
        """Return why rules are not in force in nodes that are alive.

        The reasons are those after a second attempt.
        """
        problems = []
        for update in updates:
            if update is None or not update.problem or self._controller is None:
                continue
            if self._ended_by_itself(update.node):
                continue
            again = self._controller.node_reachable(update.node)
            # The engine may learn of the node's end only now.
            if again is not None and again.problem and not self._ended_by_itself(update.node):
                problems.append(again.problem)
        return problems

    def _ended_by_itself(self, node: str) -> bool:
        """Return whether a node's program has ended by itself, and its network with it."""
        if self._engine.state(node).status is NodeStatus.RUNNING:
            return False
        self.node_unreachable(node)
        return True

    # -- overrides ---------------------------------------------------------------------------------

    def adopt(self, faults: Sequence[ActiveFault], rules: Mapping[str, PersistedRules]) -> None:
        """Take over what an earlier process has put in force; change nothing in a node.

        ``rules`` are those that it has set in the nodes. Raises EngineError.
        """
        known = [(fault, fault.override) for fault in faults if fault.override is not None]
        if len(known) < len(faults):
            raise EngineError(
                "an older version of torrentnet has brought this lab up, and its links are unknown",
                hint="take the lab down, and bring it up again",
            )
        with self._changing:
            self._state = NetworkState(
                tuple((fault.number, override) for fault, override in known),
                max((fault.number for fault, _ in known), default=0),
            )
            self._in_force = {
                fault.number: _ActiveOverride(override, fault.since, fault.link) for fault, override in known
            }
            # Where programs wait for their rules at each start, the script that sets the rules lets them begin.
            controller = self._require_controller(gate=any(one.script.endswith(OPEN_GATE) for one in rules.values()))
            controller.apply(self._state)
            for node in self._engine.locations:
                status = self._engine.state(node).status
                set_there = rules[node].incarnation == self._engine.incarnation(node) if node in rules else True
                running = status is NodeStatus.RUNNING
                controller.node_adopted(node, in_force=set_there, reachable=running)
                if running:
                    with self._guard:
                        self._alive.add(node)

    def install_links(self, links: Sequence[LinkOverride]) -> None:
        """Put the links of a scenario that changes its network in force.

        This prepares for the scenario's faults, too. No node is up yet.
        """
        self._require_controller(gate=True)
        with self._changing:
            for override in links:
                self._state, number = self._state.add(override)
                self._in_force[number] = _ActiveOverride(override, time.monotonic(), link=True)
            self._require_controller().apply(self._state)
            self._on_change(self.active())

    def warm_up(self) -> None:
        """Reach all nodes once, in the background.

        The first fault is then as fast as the others.
        """
        with self._guard:
            alive = list(self._alive)
        self._exec.warm_up(alive)

    def apply(self, override: LinkOverride) -> OverrideResult:
        """Put an override in force in every node that is alive.

        Raises NothingChangedError where no link would change, and EngineError where the engine cannot give a quality.
        """
        controller = self._require_controller(override.qualities.effective().asked())
        with self._changing:
            state, number = self._state.add(override)
            if not changed_pairs(self._state.links(), state.links()):
                raise NothingChangedError(
                    f"{override.text} changed nothing: every link was like that already",
                    hint="a fault that hits nothing proves nothing; another fault that is in force may win over it",
                )
            with self._guard:
                nodes = {node: (self._starts[node], node in self._alive) for pair in override.pairs for node in pair}
            self._state = state
            updates = controller.apply(state)
            dropped = _counters_of(override, controller.counted())
            self._in_force[number] = _ActiveOverride(override, time.monotonic(), False, dropped, {}, nodes)
            self._on_change(self.active())
            problems = self._problems(updates)
        return OverrideResult(number, tuple(one.node for one in updates if not one.problem), tuple(problems))

    def mark_counters(self, number: int) -> None:
        """Start an override's counters of rate and delay.

        Those of cuts and losses have started already.
        """
        entry, controller = self._in_force.get(number), self._controller
        if entry is not None and controller is not None and self._shapes(entry.override):
            sources = {source for source, _ in entry.override.pairs}
            entry.shaped = _counters_of(entry.override, controller.measure(sources))

    def remove(self, *numbers: int) -> dict[int, FaultCounts]:
        """Remove overrides, and return the counts of those that were in force.

        Raises EngineError.
        """
        with self._changing:
            controller = self._controller
            ended = {number: self._in_force.pop(number) for number in numbers if number in self._in_force}
            if controller is None or not ended:
                return {}
            for number in ended:
                self._state = self._state.remove(number)
            updates = controller.apply(self._state)
            self._on_change(self.active())
            dropped = controller.counted()
            shaping = [entry.override for entry in ended.values() if self._shapes(entry.override)]
            sources = {pair[0] for override in shaping for pair in override.pairs}
            shaped = controller.measure(sources) if sources else {}
            counts = {number: self._counts(entry, dropped, shaped) for number, entry in ended.items()}
            self._require(updates)
        return counts

    def active(self) -> list[ActiveFault]:
        """Return what is in force, oldest first."""
        return [
            ActiveFault(entry.override.text, entry.since, entry.link, number, entry.override)
            for number, entry in list(self._in_force.items())
        ]

    def scripts(self) -> dict[str, str]:
        """Return the script that sets a node's rules, for each node that has any."""
        return {} if self._controller is None else self._controller.scripts()

    def translations(self) -> Mapping[str, LoopbackTranslation]:
        """Return what 127.0.0.1 means, for each node where that is not the node alone."""
        return {} if self._controller is None else self._controller.translations

    def starts(self, node: str) -> int:
        """Return how often the lab has started a node and set its rules."""
        with self._guard:
            return self._starts[node]

    def measure(self) -> dict[Pair, Counters]:
        """Return the counters of every pair since the lab began."""
        return {} if self._controller is None else self._controller.measure()

    def close(self) -> None:
        """End the threads. Overrides stay in force."""
        self._exec.close()

    # -- internals ---------------------------------------------------------------------------------

    def _require_controller(self, qualities: Iterable[str] = (), *, gate: bool = False) -> NetworkController:
        with self._guard:
            if self._controller is not None and not qualities:
                return self._controller
        capabilities = self._find_capabilities()
        capabilities.require(qualities)
        with self._guard:
            if self._controller is not None:
                return self._controller
            # In an order that every process finds: a node's number in the others' rules follows from it.
            found = {node: location.address for node, location in self._engine.locations.items()}
            addresses = dict(sorted(found.items(), key=lambda item: [int(part) for part in item[1].split(".")]))
            if len(addresses) >= BATCH_THRESHOLD:
                self._exec.prepare_batch()
            self._controller = controller = NetworkController(
                addresses, self._exec, capabilities.split, gate=gate, translations=self._translate(addresses)
            )
            alive = list(self._alive)
        for node in alive:
            controller.node_started(node)
        return controller

    def _shapes(self, override: LinkOverride) -> bool:
        qualities = override.qualities.effective()
        return bool(qualities.rate or qualities.uplink or self._find_capabilities().split.at_sender(qualities))

    def _counts(
        self, entry: _ActiveOverride, dropped: Mapping[Pair, Counters], shaped: Mapping[Pair, Counters]
    ) -> FaultCounts:
        qualities = entry.override.qualities.effective()
        total = Counters()
        for pair in entry.override.pairs:
            lost = dropped.get(pair, Counters()).since(entry.dropped.get(pair, Counters()))
            sent = shaped.get(pair, Counters()).since(entry.shaped.get(pair, Counters()))
            total += Counters(
                lost.arrived,
                lost.arrived_bytes,
                lost.lost,
                lost.lost_bytes,
                sent.sent,
                sent.sent_bytes,
                sent.overflowed,
            )
        drops, shapes = bool(qualities.cut or qualities.loss), self._shapes(entry.override)
        counting = {pair[1] for pair in entry.override.pairs if drops}
        counting |= {pair[0] for pair in entry.override.pairs if shapes}
        missing = tuple(node for node in self._engine.locations if node in counting and self._has_ended(node, entry))
        return FaultCounts(total, bool(qualities.cut), bool(qualities.loss), shapes, missing)

    def _has_ended(self, node: str, entry: _ActiveOverride) -> bool:
        """Return whether a node has ended since, or is paused.

        Its counters are then unknown.
        """
        before, alive = entry.nodes.get(node, (0, False))
        with self._guard:
            new = self._starts[node] - before
            return new > (0 if alive else 1) if node in self._alive else alive or new > 0


def _counters_of(override: LinkOverride, counted: Mapping[Pair, Counters]) -> dict[Pair, Counters]:
    return {pair: counters for pair, counters in counted.items() if pair in override.pairs}
