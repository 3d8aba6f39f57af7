"""Makes the network what the desired state says: runs the scripts of those nodes whose settings have changed.

The nodes are told in parallel, a few at a time, and each by itself converges: whatever comes while a script runs
(another change, a restart of the node) is taken into account by the node's next script, never by two at once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from torrentnet.lab.errors import LabError
from torrentnet.lab.network import counters as measure
from torrentnet.lab.network import render
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.network.node_settings import NodeSettings, node_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from torrentnet.lab.engines.docker.batch_exec import BatchExec, Result
    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.scenario.qualities import Pair

MAX_PARALLEL = 6
"""Scripts that run at the same time: more only wait for the engine and the processors."""
BATCH_THRESHOLD = 2
"""Up to so many nodes a command for each is quicker than one for all."""
MAX_OUTPUT_SHOWN = 300


class NodeExec(Protocol):
    """Runs a command in a node as root with all capabilities, in the node's network namespace."""

    def __call__(self, node: str, argv: Sequence[str], stdin: str) -> Result:
        """Exit status, standard output, standard error. Raises LabError where the node cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """What was done in one node."""

    node: str
    at: float
    """When it was in force, on the clock that the network was given."""
    took: float
    """Seconds from the start of the node's script to its end."""
    problem: str = ""
    """Why it is not in force; empty where it is."""


@dataclass(frozen=True, slots=True)
class _ScriptRun:
    """How a script ended, when, and how long it ran."""

    result: Result | LabError
    at: float
    took: float


class NetworkController:
    """The network between some nodes. Safe to call from any thread; ``close`` lets go of its threads.

    A node is away until it is :meth:`up`; what is asked for meanwhile is set then.
    """

    def __init__(
        self,
        nodes: Mapping[str, str],
        run: NodeExec,
        division: CapabilitySplit,
        *,
        run_many: BatchExec | None = None,
        parallel: int = MAX_PARALLEL,
        gate: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``nodes``: name to IPv4 address, all there will ever be. ``division``: of the probe's offer.

        Where more than a few nodes change at once, ``run_many`` is used if there is one, until it fails for once.
        ``gate``: the nodes' programs wait until they are told that their network is ready
        (:mod:`torrentnet.runtime.gate`).
        """
        self._nodes = dict(nodes)
        self._run = run
        self._run_many = run_many
        self._division = division
        self._clock = clock
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="network")
        self._guard = threading.Lock()
        self._turns = {node: threading.Lock() for node in self._nodes}
        self._wanted = node_settings({}, self._nodes, division)
        self._set: dict[str, NodeSettings | None] = dict.fromkeys(self._nodes)
        self._gate = gate
        self._closed: set[str] = set()
        """Nodes whose programs have not been told yet that their network is ready."""
        self._reachable: set[str] = set()
        self._counted: dict[str, dict[Pair, Counters]] = {node: {} for node in self._nodes}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the threads, after what they are at. The nodes keep their settings."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    # ── nodes come and go ────────────────────────────────────────────────────────────────────────────────────

    def up(self, node: str, *, fresh: bool = True) -> NodeUpdate | None:
        """A node has started: set what is asked for, and let its program begin. None where there was nothing to do.

        ``fresh``: it has a new network namespace with nothing of ours in it, as every (re)started container has. Else
        nothing is known about it (a lab that an earlier command has left up), and what is ours is removed first.
        """
        with self._turns[node], self._guard:
            self._set[node] = NodeSettings(node, self._nodes[node]) if fresh else None
            self._reachable.add(node)
            if fresh and self._gate:
                self._closed.add(node)
        return next(iter(self._converge([node])), None)

    def away(self, node: str) -> None:
        """No command can be run in a node any more: it is paused, or its program has ended."""
        with self._guard:
            self._reachable.discard(node)

    def back(self, node: str) -> NodeUpdate | None:
        """A node that was away is there again with its old network namespace, as after a pause."""
        with self._guard:
            self._reachable.add(node)
        return next(iter(self._converge([node])), None)

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, state: NetworkState) -> tuple[NodeUpdate, ...]:
        """Make this state the network's. One row for each node where something had to be done, also where that failed.

        Raises KeyError for a pair with a node that is not of this network.
        """
        wanted = node_settings(state.links(), self._nodes, self._division)
        with self._guard:
            self._wanted = wanted
        return self._converge(self._nodes)

    def scripts(self) -> dict[str, str]:
        """For every node of which something is asked, what sets all of it, whatever is there."""
        with self._guard:
            wanted = dict(self._wanted)
        return {
            node: render.render(settings, None, self._division) + (render.OPEN_GATE if self._gate else "")
            for node, settings in wanted.items()
            if not settings.empty
        }

    def clear(self) -> tuple[NodeUpdate, ...]:
        """Take everything of ours away from every node that can be reached."""
        return self.apply(NetworkState())

    def _converge(self, nodes: Iterable[str]) -> tuple[NodeUpdate, ...]:
        """Set what is wanted in those of these nodes that differ from it."""
        with self._guard:
            differ = [node for node in nodes if self._differs(node)]
        with self._turns_of(differ):
            with self._guard:
                # Another thread may have had its turn in between.
                changes = {node: (self._wanted[node], self._set[node]) for node in differ if self._differs(node)}
                # Unknown until it is done: who looks meanwhile waits for its turn, and a Ctrl-C leaves no false belief.
                self._set |= dict.fromkeys(changes)
            return self._change(changes)

    def _differs(self, node: str) -> bool:
        return node in self._reachable and (node in self._closed or self._wanted[node] != self._set[node])

    @contextlib.contextmanager
    def _turns_of(self, nodes: Iterable[str]) -> Iterator[None]:
        """No other thread tells or asks these nodes anything meanwhile."""
        wanted = set(nodes)
        with contextlib.ExitStack() as turns:
            for node in self._nodes:  # always in this order, so that no two threads wait for each other
                if node in wanted:
                    turns.enter_context(self._turns[node])
            yield

    def _change(self, changes: Mapping[str, tuple[NodeSettings, NodeSettings | None]]) -> tuple[NodeUpdate, ...]:
        """Take nodes to the first from the second of their settings. The caller has their turns."""
        answers = self._ask({node: self._script(node, *change) for node, change in changes.items()})
        again = {}
        for node, (wanted, before) in changes.items():
            result = answers[node].result
            if before is None or isinstance(result, LabError):
                continue
            status, output, _ = result
            if status == 0:
                self._count(output, render.ending_settings(wanted, before))
            else:
                # What is there is not what was thought, someone has been at it: everything ends, and is set anew.
                self._count(output, before)
                again[node] = self._script(node, wanted, None)
        answers |= self._ask(again)
        done = []
        for node, (wanted, _) in changes.items():
            problem = _problem(node, answers[node].result)
            with self._guard:
                self._set[node] = None if problem else wanted
                if not problem:
                    self._closed.discard(node)
            done.append(NodeUpdate(node, answers[node].at, answers[node].took, problem))
        return tuple(done)

    def _script(self, node: str, wanted: NodeSettings, before: NodeSettings | None) -> str:
        return render.render(wanted, before, self._division) + (render.OPEN_GATE if node in self._closed else "")

    def _ask(self, scripts: Mapping[str, str]) -> dict[str, _ScriptRun]:
        """Run a script in each of these nodes. The caller has their turns."""
        if self._run_many is not None and len(scripts) > BATCH_THRESHOLD:
            began = self._clock()
            try:
                results = self._run_many(scripts)
            except LabError:
                self._run_many = None  # a command for each node does the same, only later
            else:
                now = self._clock()
                return {node: _ScriptRun(results[node], now, now - began) for node in scripts}
        return dict(zip(scripts, self._pool.map(self._tell, scripts, scripts.values()), strict=True))

    def _tell(self, node: str, script: str) -> _ScriptRun:
        began = self._clock()
        result: Result | LabError
        try:
            result = self._run(node, render.SHELL, script)
        except LabError as error:
            result = error
        now = self._clock()
        return _ScriptRun(result, now, now - began)

    # ── what was counted ─────────────────────────────────────────────────────────────────────────────────────

    def measure(self, nodes: Iterable[str] | None = None) -> dict[Pair, Counters]:
        """What these nodes (all) have counted of every pair, in the life of this object. One command a node at most.

        A pair's losses are counted at its destination, its rate at its source. What a node has counted since its last
        change is not in the answer while it is away, and never where it has ended.
        """
        asked = list(dict.fromkeys(self._nodes if nodes is None else nodes))
        total: dict[Pair, Counters] = {}
        with self._turns_of(asked):
            with self._guard:
                known = {node: settings for node in asked if (settings := self._set[node]) is not None}
                reachable = set(self._reachable)
            scripts = {
                node: render.FIND_DEVICE.format(address=settings.address) + measure.READ_COUNTERS
                for node, settings in known.items()
                if node in reachable and (settings.dropping or settings.outgoing)
            }
            for node, answer in self._ask(scripts).items():
                if not isinstance(answer.result, LabError) and answer.result[0] == 0:
                    _add(total, measure.parse_counters(answer.result[1], known[node]))
            for node in asked:
                _add(total, self._counted[node])
        return total

    def counted(self) -> dict[Pair, Counters]:
        """What rules have counted that have ended by now, in the life of this object. No command.

        A change of what a node takes in ends all of its rules of cut and loss.
        """
        total: dict[Pair, Counters] = {}
        with self._turns_of(self._nodes):
            for counted in self._counted.values():
                _add(total, counted)
        return total

    def _count(self, output: str, ending: NodeSettings) -> None:
        """Keep what was counted by rules that have just ended. The caller has the node's turn."""
        if not ending.empty:
            _add(self._counted[ending.node], measure.parse_counters(output, ending))


def _add(total: dict[Pair, Counters], counted: Mapping[Pair, Counters]) -> None:
    for pair, counters in counted.items():
        total[pair] = total.get(pair, Counters()) + counters


def _problem(node: str, result: Result | LabError) -> str:
    if isinstance(result, LabError):
        return result.message
    status, output, errors = result
    if status == 0:
        return ""
    said = (errors or output).strip()[:MAX_OUTPUT_SHOWN] or "it said nothing"
    return f"the network of {node} could not be set (status {status}): {said}"
