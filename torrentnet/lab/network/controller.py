"""The controller that makes the network match its desired state.

The controller runs scripts in the nodes whose settings have changed. Nodes are changed in parallel, and each converges
by itself: whatever happens while a script runs (another change, a restart of the node) is taken into account by the
node's next script, never by a second script at the same time.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import LabError
from torrentnet.lab.network import counters, render
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.network.node_settings import NodeSettings, node_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torrentnet.lab.engines.types import ExecResult
    from torrentnet.lab.network.desired_state import NetworkState
    from torrentnet.lab.network.impairment import CapabilitySplit
    from torrentnet.lab.network.loopback import LoopbackTranslation
    from torrentnet.lab.network.netns_exec import NetnsExec
    from torrentnet.lab.scenario.qualities import Pair

MAX_OUTPUT_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """What was done in one node."""

    node: str
    problem: str = ""
    """Why the settings are not in force; empty where they are."""


class NetworkController:
    """The controller of the network between some nodes. Safe to call from any thread.

    A node is unreachable until :meth:`node_started`; what is asked of it before is set then.
    """

    def __init__(
        self,
        nodes: Mapping[str, str],
        netns_exec: NetnsExec,
        split: CapabilitySplit,
        *,
        gate: bool = False,
        translations: Mapping[str, LoopbackTranslation] | None = None,
    ) -> None:
        """Prepare to control the network of ``nodes``.

        ``nodes``: name to IPv4 address of every node there will ever be. ``split``: of the probed capabilities.
        ``gate``: the nodes' programs wait for their rules (:mod:`torrentnet.runtime.gate`). ``translations``: what
        127.0.0.1 means in some nodes, whatever the state of the links.
        """
        self._nodes = dict(nodes)
        self._split = split
        self._exec = netns_exec
        self._guard = threading.Lock()
        self._node_locks = {node: threading.Lock() for node in self._nodes}
        self.translations = dict(translations or {})
        self._wanted = node_settings({}, self._nodes, split, self.translations)
        self._in_force: dict[str, NodeSettings | None] = dict.fromkeys(self._nodes)
        """By node; None where they are unknown."""
        self._gate = gate
        self._gated: set[str] = set()
        """Nodes whose programs still wait for their rules."""
        self._reachable: set[str] = set()
        self._counted: dict[str, dict[Pair, Counters]] = {node: {} for node in self._nodes}
        """Counts of rules that have ended, by the node that had the rules."""

    # -- nodes start and end ----------------------------------------------------------------------

    def node_started(self, node: str, *, fresh: bool = True) -> NodeUpdate | None:
        """Apply the settings of a node that has started; let its program begin.

        Returns None where nothing is to be done. ``fresh``: the node has a new network namespace without rules of ours,
        as each (re)started container has. Else nothing is known about it (an earlier command left the lab up), and our
        rules are removed first.
        """
        with self._node_locks[node], self._guard:
            self._in_force[node] = NodeSettings(node, self._nodes[node]) if fresh else None
            self._reachable.add(node)
            if fresh and self._gate:
                self._gated.add(node)
        return next(iter(self._converge([node])), None)

    def node_adopted(self, node: str, *, in_force: bool, reachable: bool) -> None:
        """Take over a node of a lab that an earlier process has left up.

        ``in_force`` says that what is wanted now is what the earlier process has set there.
        """
        with self._guard:
            self._in_force[node] = self._wanted[node] if in_force else None
            if reachable:
                self._reachable.add(node)

    def node_unreachable(self, node: str) -> None:
        """Run no more commands in a node: it is paused, or its program has ended."""
        with self._guard:
            self._reachable.discard(node)

    def node_reachable(self, node: str) -> NodeUpdate | None:
        """Apply the settings of a node that is reachable again, as after a pause.

        The node still has its old network namespace.
        """
        with self._guard:
            self._reachable.add(node)
        return next(iter(self._converge([node])), None)

    # -- changes ----------------------------------------------------------------------------------

    def apply(self, state: NetworkState) -> tuple[NodeUpdate, ...]:
        """Make the network match ``state``; return the nodes that had to change.

        The nodes whose change failed are included. Raises KeyError for a pair with an unknown node.
        """
        wanted = node_settings(state.links(), self._nodes, self._split, self.translations)
        with self._guard:
            self._wanted = wanted
        return self._converge(self._nodes)

    def scripts(self) -> dict[str, str]:
        """Return, for each node with settings, the script that applies all of them.

        Each script works from any state of its node.
        """
        with self._guard:
            wanted = dict(self._wanted)
        return {
            node: render.render(settings, None, self._split) + (render.OPEN_GATE if self._gate else "")
            for node, settings in wanted.items()
            if not settings.empty
        }

    def _converge(self, nodes: Iterable[str]) -> tuple[NodeUpdate, ...]:
        """Set what is wanted in the nodes that differ from it."""
        with self._guard:
            differing = [node for node in nodes if self._differs(node)]
        with self._locked(differing):
            with self._guard:
                # Another thread may have changed some of them meanwhile.
                changes = {
                    node: (self._wanted[node], self._in_force[node]) for node in differing if self._differs(node)
                }
                # Unknown until the script has ended: other threads wait, and a Ctrl-C leaves no wrong belief.
                self._in_force |= dict.fromkeys(changes)
            return self._change(changes)

    def _differs(self, node: str) -> bool:
        return node in self._reachable and (node in self._gated or self._wanted[node] != self._in_force[node])

    @contextlib.contextmanager
    def _locked(self, nodes: Iterable[str]) -> Iterator[None]:
        """Keep other threads from running scripts in these nodes."""
        wanted = set(nodes)
        with contextlib.ExitStack() as locks:
            for node in self._nodes:  # always in this order, so that no two threads wait for each other
                if node in wanted:
                    locks.enter_context(self._node_locks[node])
            yield

    def _change(self, changes: Mapping[str, tuple[NodeSettings, NodeSettings | None]]) -> tuple[NodeUpdate, ...]:
        """Change nodes from the second to the first of their settings.

        The caller has locked the nodes.
        """
        results = self._exec.run_all({node: self._script(node, *change) for node, change in changes.items()})
        again = {}
        for node, (wanted, before) in changes.items():
            result = results[node]
            if before is None or isinstance(result, LabError):
                continue
            if result.status == 0:
                self._keep_counts(result.stdout, render.ending_settings(wanted, before))
            else:
                # The node is not as expected, someone has changed it: remove everything, and set it again.
                self._keep_counts(result.stdout, before)
                again[node] = self._script(node, wanted, None)
        results |= self._exec.run_all(again)
        updates = []
        for node, (wanted, _) in changes.items():
            problem = _problem(node, results[node])
            with self._guard:
                self._in_force[node] = None if problem else wanted
                if not problem:
                    self._gated.discard(node)
            updates.append(NodeUpdate(node, problem))
        return tuple(updates)

    def _script(self, node: str, wanted: NodeSettings, before: NodeSettings | None) -> str:
        return render.render(wanted, before, self._split) + (render.OPEN_GATE if node in self._gated else "")

    # -- what was counted -------------------------------------------------------------------------

    def measure(self, nodes: Iterable[str] | None = None) -> dict[Pair, Counters]:
        """Return what these nodes (or all) have counted of every pair.

        The counts begin with the creation of this object. Runs at most one command a node. A pair's losses are counted
        at its destination, its rate at its source. What an unreachable node has counted since its last change is
        missing, and stays so where it has ended.
        """
        asked = list(dict.fromkeys(self._nodes if nodes is None else nodes))
        total: dict[Pair, Counters] = {}
        with self._locked(asked):
            with self._guard:
                known = {node: settings for node in asked if (settings := self._in_force[node]) is not None}
                reachable = set(self._reachable)
            scripts = {
                node: render.FIND_DEVICE.format(address=settings.address) + counters.READ_COUNTERS
                for node, settings in known.items()
                if node in reachable and (settings.dropping or settings.outgoing)
            }
            for node, result in self._exec.run_all(scripts).items():
                if not isinstance(result, LabError) and result.status == 0:
                    _add(total, counters.parse_counters(result.stdout, known[node]))
            for node in asked:
                _add(total, self._counted[node])
        return total

    def counted(self) -> dict[Pair, Counters]:
        """Return what rules that have ended have counted; run no command.

        The counts begin with the creation of this object. A change of a node's incoming links ends all of its rules of
        cut and loss.
        """
        total: dict[Pair, Counters] = {}
        with self._locked(self._nodes):
            for counted in self._counted.values():
                _add(total, counted)
        return total

    def _keep_counts(self, output: str, ending: NodeSettings) -> None:
        """Add the counts of rules that have just ended.

        The caller has locked the node.
        """
        if not ending.empty:
            _add(self._counted[ending.node], counters.parse_counters(output, ending))


def _add(total: dict[Pair, Counters], counted: Mapping[Pair, Counters]) -> None:
    for pair, more in counted.items():
        total[pair] = total.get(pair, Counters()) + more


def _problem(node: str, result: ExecResult | LabError) -> str:
    if isinstance(result, LabError):
        return result.message
    if result.status == 0:
        return ""
    output = (result.stderr or result.stdout).strip()[:MAX_OUTPUT_SHOWN] or "it printed nothing"
    return f"the network of {node} could not be set (status {result.status}): {output}"
