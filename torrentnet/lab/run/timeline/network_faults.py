"""What one lab's network suffers from: patches that come and go, in force in every node that lives.

The scenario's links lie at the bottom and stay. A node that starts gets what is in force as soon as it is there; one
that ends or is paused is left alone until it is back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EXIT_FAILED, EngineError, LabError
from torrentnet.lab.home.lab_store import ActiveFault
from torrentnet.lab.network.controller import NetworkController
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.network.desired_state import NetworkState, changed_pairs
from torrentnet.lab.network.netns_exec import NetnsExec
from torrentnet.lab.run.timeline.fault_counts import FaultCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.network.controller import NodeUpdate
    from torrentnet.lab.network.probe import Capabilities
    from torrentnet.lab.scenario.qualities import LinkOverride, Pair

BATCH_THRESHOLD = 8
"""From so many nodes on it pays to have a way that reaches all of them by one command."""


class NoLinkChanged(LabError):
    """A patch that leaves every link as it was."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text} changed nothing: the network was so already",
            hint="a fault that hits nothing proves nothing; another one that is in force may win over it",
            exit_code=EXIT_FAILED,
        )


@dataclass(frozen=True, slots=True)
class OverrideResult:
    """A patch that has come into force."""

    number: int
    nodes: tuple[str, ...]
    """Those whose rules have changed at once."""
    problems: tuple[str, ...]
    """Why it is not in force in a node that lives."""


@dataclass(slots=True)
class _ActiveOverride:
    patch: LinkOverride
    since: float
    link: bool
    dropped: Mapping[Pair, Counters] = field(default_factory=dict)
    """What had been counted before."""
    shaped: Mapping[Pair, Counters] = field(default_factory=dict)
    lives: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    """How often each node had been started, and whether it lived."""


class NetworkFaults:
    """The network of one lab. Safe to call from any thread; hears of the nodes as the engine's follower.

    Needs nothing of the engine until there is the first patch.
    """

    def __init__(
        self,
        engine: Engine,
        offer: Callable[[], Capabilities],
        *,
        on_change: Callable[[list[ActiveFault]], None] = lambda _: None,
    ) -> None:
        """``offer`` is asked once, for the first patch. ``on_change`` hears what is in force whenever that changes."""
        self._engine = engine
        self._offer = offer
        self._on_change = on_change
        self._changing = threading.Lock()
        """Held while patches come and go: they are laid one after the other."""
        self._guard = threading.Lock()
        self._state = NetworkState()
        self._in_force: dict[int, _ActiveOverride] = {}
        self._network: NetworkController | None = None
        self._starts: Counter[str] = Counter()
        self._alive: set[str] = set()
        self._reach = NetnsExec(engine)

    # ── nodes come and go ────────────────────────────────────────────────────────────────────────────────────

    def up(self, node: str) -> None:
        """See :meth:`torrentnet.lab.engines.interface.NodeObserver.up`. Raises EngineError where its rules cannot be
        set."""
        with self._guard:
            self._starts[node] += 1
            self._alive.add(node)
            network = self._network
        if network is not None:
            self._require([network.up(node)])

    def away(self, node: str) -> None:
        """See :meth:`torrentnet.lab.engines.interface.NodeObserver.away`."""
        with self._guard:
            self._alive.discard(node)
            network = self._network
        if network is not None:
            network.away(node)

    def back(self, node: str) -> None:
        """See :meth:`torrentnet.lab.engines.interface.NodeObserver.back`. Raises EngineError where its rules cannot
        be set."""
        with self._guard:
            self._alive.add(node)
            network = self._network
        if network is not None:
            self._require([network.back(node)])

    def _require(self, rows: Iterable[NodeUpdate | None]) -> None:
        if problems := self._problems(rows):
            raise EngineError("; ".join(problems))

    def _problems(self, rows: Iterable[NodeUpdate | None]) -> list[str]:
        """What is not in force although its node lives, after a second attempt."""
        problems = []
        for row in rows:
            if row is None or not row.problem or self._network is None:
                continue
            if self._engine.state(row.node).status is not NodeStatus.RUNNING:
                # Its program has ended by itself, and the network with it.
                self.away(row.node)
                continue
            again = self._network.back(row.node)
            if again is not None and again.problem:
                problems.append(again.problem)
        return problems

    # ── patches ──────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, links: Sequence[LinkOverride]) -> None:
        """Make ready for a scenario that asks something of its network, and lay its links; no node is up yet."""
        self._ready(gate=True)
        with self._changing:
            for patch in links:
                self._state, number = self._state.add(patch)
                self._in_force[number] = _ActiveOverride(patch, time.time(), link=True)
            self._ready().apply(self._state)
            self._tell()

    def warm(self) -> None:
        """Reach all nodes that live once, in the background, so that the first fault is no later than the others."""
        with self._guard:
            alive = list(self._alive)
        self._reach.warm(alive)

    def lay(self, patch: LinkOverride) -> OverrideResult:
        """Bring a patch into force in every node that lives.

        Raises NoLinkChanged where it would change nothing, and EngineError where the engine cannot give a quality.
        """
        asked = patch.qualities.effective().asked()
        network = self._ready(asked)
        with self._changing:
            state, number = self._state.add(patch)
            if not changed_pairs(self._state.links(), state.links()):
                raise NoLinkChanged(patch.text)
            with self._guard:
                lives = {node: (self._starts[node], node in self._alive) for pair in patch.pairs for node in pair}
            self._state = state
            rows = network.apply(state)
            dropped = _counters_of(patch, network.counted())
            self._in_force[number] = _ActiveOverride(patch, time.time(), False, dropped, {}, lives)
            self._tell()
            problems = self._problems(rows)
        return OverrideResult(number, tuple(row.node for row in rows if not row.problem), tuple(problems))

    def count_from_here(self, number: int) -> None:
        """Note what a patch's rate and delay have counted before it; of cuts and losses that is known."""
        entry, network = self._in_force.get(number), self._network
        if entry is not None and network is not None and self._shapes(entry.patch):
            entry.shaped = _counters_of(entry.patch, network.measure({source for source, _ in entry.patch.pairs}))

    def lift(self, *numbers: int) -> dict[int, FaultCounts]:
        """Take patches away; those that are in force answer with what was counted. Raises EngineError."""
        with self._changing:
            network = self._network
            ended = {number: self._in_force.pop(number) for number in numbers if number in self._in_force}
            if network is None or not ended:
                return {}
            for number in ended:
                self._state = self._state.remove(number)
            rows = network.apply(self._state)
            self._tell()
            dropped = network.counted()
            sources = {pair[0] for entry in ended.values() if self._shapes(entry.patch) for pair in entry.patch.pairs}
            shaped = network.measure(sources) if sources else {}
            measured = {number: self._measured(entry, dropped, shaped) for number, entry in ended.items()}
            self._require(rows)
        return measured

    def faults(self) -> tuple[int, ...]:
        """The numbers of the patches in force that are no links, oldest first."""
        with self._changing:
            return tuple(number for number, entry in self._in_force.items() if not entry.link)

    def active(self) -> list[ActiveFault]:
        """What is in force, oldest first."""
        return [ActiveFault(entry.patch.text, entry.since, entry.link) for entry in list(self._in_force.values())]

    def scripts(self) -> dict[str, str]:
        """What sets the rules of each node of which something is asked. See :meth:`Network.scripts`."""
        return {} if self._network is None else self._network.scripts()

    def starts(self, node: str) -> int:
        """How often the lab has started a node, and set its rules."""
        with self._guard:
            return self._starts[node]

    def measure(self) -> dict[Pair, Counters]:
        """What was counted of every pair since the lab began. See :meth:`Network.measure`."""
        return {} if self._network is None else self._network.measure()

    def close(self) -> None:
        """Let go of the threads. What is in force stays so."""
        self._reach.close()
        if self._network is not None:
            self._network.close()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────

    def _ready(self, asked: Iterable[str] = (), *, gate: bool = False) -> NetworkController:
        with self._guard:
            if self._network is not None and not asked:
                return self._network
        offer = self._offer()
        offer.require(asked)
        with self._guard:
            if self._network is not None:
                return self._network
            addresses = {node: place.address for node, place in self._engine.places.items()}
            many = len(addresses) >= BATCH_THRESHOLD
            if many:
                self._reach.prepare_many()
            reach = self._reach
            self._network = network = NetworkController(
                addresses, reach.run, offer.division, run_many=reach.run_many if many else None, gate=gate
            )
            alive = list(self._alive)
        for node in alive:
            network.up(node)
        return network

    def _shapes(self, patch: LinkOverride) -> bool:
        asked = patch.qualities.effective()
        return bool(asked.rate or asked.uplink or self._offer().division.at_sender(asked))

    def _measured(
        self, entry: _ActiveOverride, dropped: Mapping[Pair, Counters], shaped: Mapping[Pair, Counters]
    ) -> FaultCounts:
        asked = entry.patch.qualities.effective()
        total = Counters()
        for pair in entry.patch.pairs:
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
        drops, shapes = bool(asked.cut or asked.loss), self._shapes(entry.patch)
        where = {pair[1] for pair in entry.patch.pairs if drops} | {pair[0] for pair in entry.patch.pairs if shapes}
        missing = tuple(node for node in self._engine.places if node in where and self._has_left(node, entry))
        return FaultCounts(total, bool(asked.cut), bool(asked.loss), shapes, missing)

    def _has_left(self, node: str, entry: _ActiveOverride) -> bool:
        """Whether a node has ended, or is paused, so that what it counted is not known."""
        before, alive = entry.lives.get(node, (0, False))
        with self._guard:
            new = self._starts[node] - before
            return new > (0 if alive else 1) if node in self._alive else alive or new > 0

    def _tell(self) -> None:
        self._on_change(self.active())


def _counters_of(patch: LinkOverride, counted: Mapping[Pair, Counters]) -> dict[Pair, Counters]:
    return {pair: counters for pair, counters in counted.items() if pair in patch.pairs}
