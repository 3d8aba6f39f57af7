"""What a lab asks of the engine that runs its nodes.

An engine creates nodes, starts, pauses and ends them, runs commands in them, and reports what they print and when
their state changes. It knows no scenario, timeline or expectation. A lab knows an engine only by :class:`Engine` and
by the values of :mod:`torrentnet.lab.engines.types`, so that another engine is another subclass.

An engine serves one lab. The order of calls is ``check``, ``collect_orphans``, ``prepare``, ``create``, ``watch``, then
the verbs in any order and from any thread, then ``destroy`` and ``close``. ``adopt`` replaces everything up to
``create`` for a lab that is up already. ``fingerprint`` and ``scratch`` work from ``prepare`` on.

The public verbs check the node's state first and raise :class:`NothingChangedError` where they would have no effect: a
fault that hits nothing must fail a run, whatever the engine.

Tested by tests/unit/lab/run/timeline/test_timeline.py.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from torrentnet.lab.engines.types import ALIVE, NodeState, NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torrentnet.lab.engines.types import (
        BatchExec,
        ExecResult,
        Finding,
        LabSpec,
        LogLine,
        LossCallback,
        NodeLocation,
        ProgressCallback,
        RemovedLab,
        Sniffer,
        StateChange,
    )
    from torrentnet.lab.scenario.plan.program import ProgramPlan


class NodeObserver(Protocol):
    """An observer of the nodes, called by every verb.

    The calls are on the thread of the verb's caller, so that the observer's work is part of the verb.
    """

    def node_started(self, node: str) -> None:
        """A node has just started, with a new network namespace."""

    def node_unreachable(self, node: str) -> None:
        """A node is about to end or to be paused: no command can be run in it from now on."""

    def node_reachable(self, node: str) -> None:
        """A paused node runs again."""


class Engine(ABC):
    """Runs the nodes of one lab. The module's docstring has the order of calls."""

    name: str
    """As on the command line: ``docker``."""
    has_compose: bool = True
    """Whether plain ``docker compose`` commands can reach the nodes."""
    trusted: bool = False
    """Whether the user trusts the programs that a scenario brings along, where this engine does not confine them."""
    _observer: NodeObserver | None = None

    def observe(self, observer: NodeObserver | None) -> None:
        """Call ``observer`` at every verb from now on; None ends that."""
        self._observer = observer

    # -- before there is a lab --------------------------------------------------------------------

    @abstractmethod
    def check(self) -> None:
        """Raise EngineError with a remedy where this engine cannot work on this machine."""

    @abstractmethod
    def diagnose(self) -> list[Finding]:
        """Return what this machine has and lacks, for ``doctor``. Raises nothing."""

    @abstractmethod
    def collect_orphans(self, is_finished: Callable[[Path, str], bool]) -> list[RemovedLab]:
        """Remove the labs whose owner is dead, and return them.

        ``is_finished(state, project)`` says whether that state folder has the lab as one that ``up`` has left running:
        such a lab is meant to outlive its owner.
        """

    @abstractmethod
    def prepare(self, progress: ProgressCallback) -> None:
        """Prepare what all labs need (an image, say). Fast when nothing has changed."""

    def prepare_programs(self, programs: Sequence[str], progress: ProgressCallback) -> None:
        """Prepare what nodes need that run programs other than ours.

        ``programs`` are the programs' names: ``aria2``, ``transmission``, and so on. Called after :meth:`prepare`,
        where a scenario has such nodes. Raises EngineError with a remedy where a program is not available.
        """
        raise EngineError(
            f"the engine `{self.name}` runs our own programs only, not {' and '.join(programs)}",
            hint=f"run it with `--engine docker`, whose image has them; {install_docker()}",
        )

    def prepare_foreign(self, programs: Sequence[ProgramPlan], progress: ProgressCallback) -> None:
        """Prepare the programs that the scenario brings along.

        What they need is built and installed. Called after :meth:`prepare`, where a scenario has such programs.
        Raises EngineError with a remedy where one cannot be run.
        """
        raise EngineError(f"the engine `{self.name}` runs no program that a scenario brings along")

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return what the nodes run on, for the record: versions, kernel, processors."""

    # -- the network between the nodes ------------------------------------------------------------

    def fingerprint(self) -> str | None:
        """Return a text that identifies everything that :meth:`scratch` depends on.

        The result is None where nodes cannot be created yet.
        """
        return None

    def scratch(self) -> AbstractContextManager[str]:
        """Return a node of no lab, to find out what works on this machine.

        The node exists during the ``with`` block, and :meth:`exec_root` runs commands in it. Raises
        NetworkUnavailableError where this engine cannot set its nodes' network.
        """
        raise EngineError(f"the engine `{self.name}` cannot set the network of its nodes")

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        """Run a command in a node as root with all capabilities.

        The command has these rights even where the node's own program does not.
        """
        raise EngineError(f"the engine `{self.name}` cannot set the network of its nodes")

    def counters_unavailable(self) -> str:
        """Return why a node's ``/proc/net/dev`` does not count that node alone.

        The result is empty where it does.
        """
        return ""

    def batch_exec(self) -> BatchExec | None:
        """Return a way to run scripts in many nodes' networks by one command.

        This call prepares it, and it works as long as the lab exists. The result is None where there is no such way.
        """
        return None

    def sniff(self, snap: int, addresses: Sequence[str] = ()) -> Sniffer:
        """Start to see the packets between the nodes, once the lab exists.

        ``snap`` is how many bytes of each frame are kept; ``addresses`` limit the packets to those from or to these.
        Raises EngineError where that is not possible.
        """
        raise EngineError(f"the engine `{self.name}` cannot capture packets")

    # -- the lab ----------------------------------------------------------------------------------

    @abstractmethod
    def create(self, spec: LabSpec, progress: ProgressCallback) -> None:
        """Create every node, and start none."""

    @abstractmethod
    def adopt(self, project: str, *, missing_ok: bool = False) -> None:
        """Attach this engine to a lab that is up.

        Raises EngineError where the lab does not exist, unless ``missing_ok``.
        """

    @abstractmethod
    def watch(
        self,
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None:
        """Call back for every line that a node prints and every change of its state.

        The calls are on the engine's threads. Each line arrives once and in its node's order, across restarts too.
        A stream that ends or breaks is opened again. Where that fails, ``on_lost`` is called: lines or
        changes may be missing from then on.
        """

    def lagging(self) -> frozenset[str]:
        """Return the nodes whose lines or changes are late.

        Their stream broke off and is being opened again.
        """
        return frozenset()

    @abstractmethod
    def unwatch(self) -> None:
        """End what ``watch`` began. No callback is called afterwards."""

    @abstractmethod
    def destroy(self) -> None:
        """Remove everything of the lab.

        May be called at any time, also after a ``create`` that failed half-way.
        """

    @abstractmethod
    def close(self) -> None:
        """Release threads and connections.

        The nodes continue to run unless ``destroy`` was called before.
        """

    # -- nodes ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def locations(self) -> Mapping[str, NodeLocation]:
        """Every node's location, by name."""

    @abstractmethod
    def state(self, node: str) -> NodeState:
        """Return the node's state now."""

    @property
    def identity(self) -> str:
        """A text that tells this engine from others; empty where a machine has one."""
        return ""

    def incarnation(self, node: str) -> str:
        """Return a text that identifies the present or last run of the node's program.

        The text changes at each start. It is empty where nobody but the lab can start a node.
        """
        return ""

    @abstractmethod
    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """Run a command in a node and wait for it, ``timeout`` seconds at most."""

    def command_environment(self) -> dict[str, str]:
        """Return the environment of the commands that the next two methods return."""
        return dict(os.environ)

    def runs_foreign(self, node: str) -> bool:
        """Return whether a node's program is one that the scenario brings along."""
        del node
        return False

    @abstractmethod
    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        """Return the command line that connects the user to ``argv`` in a node.

        With ``terminal`` it connects the terminal, otherwise standard input.
        """

    @abstractmethod
    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
        """Return the command line that prints the output of these nodes.

        It prints the output of all nodes where ``nodes`` is empty.
        """

    @abstractmethod
    def console_hint(self, node: str, words: str) -> str:
        """Return what a user types to run ``words`` in a node's console.

        The lab only shows this text.
        """

    def start(self, node: str) -> None:
        """Start a node that does not run."""
        self._require_status("start", node, NodeStatus.CREATED, NodeStatus.EXITED)
        self._control("start", node)
        self._notify_started(node)

    def kill(self, node: str) -> None:
        """End a node's program with SIGKILL."""
        self._require_status("kill", node, *ALIVE)
        self._notify_unreachable(node)
        self._control("kill", node)

    def stop(self, node: str) -> None:
        """End a node's program with SIGTERM, so that it shuts down in order."""
        self._require_status("stop", node, *ALIVE)
        self._notify_unreachable(node)
        self._control("stop", node)

    def pause(self, node: str) -> None:
        """Freeze a node's program."""
        self._require_status("pause", node, NodeStatus.RUNNING)
        self._notify_unreachable(node)
        self._control("pause", node)

    def resume(self, node: str) -> None:
        """Continue a frozen program."""
        self._require_status("resume", node, NodeStatus.PAUSED)
        self._control("resume", node)
        if self._observer is not None:
            self._observer.node_reachable(node)

    def restart(self, node: str) -> None:
        """Start a node again, after stopping it where it is alive."""
        state = self._require_status("restart", node, NodeStatus.EXITED, *ALIVE)
        self._notify_unreachable(node)
        if state.status in ALIVE:
            self._control("stop", node)
        self._control("start", node)
        self._notify_started(node)

    def _notify_started(self, node: str) -> None:
        if self._observer is not None:
            self._observer.node_started(node)

    def _notify_unreachable(self, node: str) -> None:
        if self._observer is not None:
            self._observer.node_unreachable(node)

    def _require_status(self, verb: str, node: str, *statuses: NodeStatus) -> NodeState:
        state = self.state(node)
        if state.status is NodeStatus.GONE:
            raise EngineError(f"{verb} {node}: the node is gone; something outside the lab removed it")
        if state.status not in statuses:
            raise NothingChangedError(
                f"{verb} {node} changed nothing: the node is {state}",
                hint="a fault that hits nothing proves nothing; move the event or name another node",
            )
        return state

    @abstractmethod
    def _control(self, verb: str, node: str) -> None:
        """Start, kill, stop, pause or resume a node, and wait until this is done.

        The caller has checked that the node is in the right state for ``verb``.
        """
