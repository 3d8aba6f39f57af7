"""What a lab asks of the thing that runs its nodes.

An engine makes nodes, starts, hurts and ends them, runs commands in them, and hands out what they print and how they
live. It knows nothing of scenarios, timelines or expectations, and they know nothing of it but this class and
what it takes and gives (:mod:`torrentnet.lab.engines.types`): another engine (processes on the loopback interface,
Docker Swarm) is another subclass, and nothing else changes.

An engine serves one lab. The order of calls is ``check``, ``sweep``, ``prepare``, ``create``, ``watch``, then the
verbs in any order and from any thread, then ``destroy`` and ``close``. ``adopt`` takes the place of everything up to
``create`` where the lab is up already. ``fingerprint`` and ``scratch`` work from ``prepare`` on.

The public verbs decide from the node's state whether there is anything to do, and raise :class:`NothingChangedError`
when there is not: a fault that hits nothing must fail a run, whatever the engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from torrentnet.lab.engines.types import ALIVE, NodeState, NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torrentnet.lab.engines.docker.batch_exec import BatchExec
    from torrentnet.lab.engines.types import (
        ExecResult,
        Finding,
        LabSpec,
        LogLine,
        NodeLocation,
        ProgressCallback,
        StateChange,
    )


class NodeObserver(Protocol):
    """Hears of every verb at once and on the caller's thread, so that what it does is part of the verb."""

    def up(self, node: str) -> None:
        """A node has just been started, its network is as new."""

    def away(self, node: str) -> None:
        """A node is about to end or to be paused: no command can be run in it from now on."""

    def back(self, node: str) -> None:
        """A node that was paused goes on."""


class Engine(ABC):
    """Runs the nodes of one lab. See the module for the order of calls."""

    name: str
    """As on the command line: ``docker``."""
    has_compose: bool = True
    """Whether plain ``docker compose`` commands reach the nodes once ``.env`` names the lab."""
    _follower: NodeObserver | None = None

    def follow(self, follower: NodeObserver | None) -> None:
        """Let ``follower`` hear of every verb from now on; None ends that."""
        self._follower = follower

    # ── before there is a lab ────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def check(self) -> None:
        """Raise :class:`EngineError` with a remedy where this engine cannot work on this machine."""

    @abstractmethod
    def examine(self) -> list[Finding]:
        """What is there and what is missing, for ``doctor``; raises nothing."""

    @abstractmethod
    def sweep(self) -> list[str]:
        """Remove what labs left behind whose owner is dead; answers with their projects."""

    @abstractmethod
    def prepare(self, say: ProgressCallback) -> None:
        """Make ready what all labs need (an image, say); quick when nothing has changed."""

    def prepare_programs(self, programs: Sequence[str], say: ProgressCallback) -> None:
        """Make ready what nodes with other people's programs need: ``aria2``, ``transmission``, and so on.

        Called after :meth:`prepare`, and only where there are such nodes. Raises EngineError with a remedy where one
        of them cannot be had.
        """
        raise EngineError(
            f"the engine `{self.name}` runs our own programs only, not {' and '.join(programs)}",
            hint=f"run it with `--engine docker`, whose image has them; {install_docker()}",
        )

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What the nodes run on, for the record: versions, kernel, processors."""

    # ── the network between the nodes ────────────────────────────────────────────────────────────────────────

    def fingerprint(self) -> str | None:
        """Names everything that decides what :meth:`scratch` can do; None where nodes cannot be made yet."""
        return None

    def scratch(self) -> AbstractContextManager[str]:
        """A node of no lab for the ``with`` block, to be given to :meth:`exec_root`: to find out what works here.

        Raises NoNetwork where this engine cannot set its nodes' network.
        """
        raise EngineError(f"the engine `{self.name}` cannot set the network of its nodes")

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        """Run a command in a node as root with all capabilities, whatever the node itself may do."""
        raise EngineError(f"the engine `{self.name}` cannot set the network of its nodes")

    def why_no_counters(self) -> str:
        """Why nobody can tell what a node's interface alone has carried; empty where ``/proc/net/dev`` says it."""
        return ""

    def together(self) -> BatchExec | None:
        """A way to run scripts in the networks of many nodes by one command, made ready now; None where there is none.

        It lasts as long as the lab.
        """
        return None

    # ── the lab ──────────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def create(self, spec: LabSpec, say: ProgressCallback) -> None:
        """Make every node, and start none."""

    @abstractmethod
    def adopt(self, project: str, *, missing_ok: bool = False) -> None:
        """Take over a lab that is up. Raises :class:`EngineError` where it is not there, unless ``missing_ok``."""

    @abstractmethod
    def watch(self, on_line: Callable[[LogLine], None], on_state: Callable[[StateChange], None]) -> None:
        """Call back for every line that a node prints and every change of its state, on the engine's threads.

        Each line comes once and in its node's order, also over restarts.
        """

    @abstractmethod
    def unwatch(self) -> None:
        """End what ``watch`` began; afterwards nothing is called back."""

    @abstractmethod
    def destroy(self, say: ProgressCallback) -> None:
        """Remove everything of the lab. May be called at any time, also after a ``create`` that failed half way."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the engine: threads and connections. The nodes live on unless ``destroy`` came before."""

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    @abstractmethod
    def places(self) -> Mapping[str, NodeLocation]:
        """Every node's place, by name."""

    @abstractmethod
    def state(self, node: str) -> NodeState:
        """How the node lives now, asked of the engine."""

    def life(self, node: str) -> str:
        """Names the life that the node's program has, or had last: another one after each start.

        Empty where nobody but the lab can start a node.
        """
        return ""

    @abstractmethod
    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """Run a command in a node and wait for it, ``timeout`` seconds at most."""

    @abstractmethod
    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        """The command line that gives a person's terminal (or, without one, standard input) to ``argv`` in a node."""

    @abstractmethod
    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
        """The command line that prints what nodes said; all nodes where none is named."""

    @abstractmethod
    def look(self, node: str, words: str) -> str:
        """What a person types to give a node's console ``words``: a hint, not run by the lab."""

    def start(self, node: str) -> None:
        """Start a node that does not run."""
        self._need("start", node, NodeStatus.CREATED, NodeStatus.EXITED)
        self._start(node)
        self._up(node)

    def kill(self, node: str) -> None:
        """End a node's program with SIGKILL."""
        self._need("kill", node, *ALIVE)
        self._away(node)
        self._kill(node)

    def stop(self, node: str) -> None:
        """End a node's program with SIGTERM, so that it says good-bye."""
        self._need("stop", node, *ALIVE)
        self._away(node)
        self._stop(node)

    def pause(self, node: str) -> None:
        """Freeze a node's program."""
        self._need("pause", node, NodeStatus.RUNNING)
        self._away(node)
        self._pause(node)

    def resume(self, node: str) -> None:
        """Let a frozen program go on."""
        self._need("resume", node, NodeStatus.PAUSED)
        self._resume(node)
        if self._follower is not None:
            self._follower.back(node)

    def restart(self, node: str) -> None:
        """Start a node again: one that lives is stopped first, one that has ended is just started."""
        state = self._need("restart", node, NodeStatus.EXITED, *ALIVE)
        self._away(node)
        if state.status in ALIVE:
            self._stop(node)
        self._start(node)
        self._up(node)

    def _up(self, node: str) -> None:
        if self._follower is not None:
            self._follower.up(node)

    def _away(self, node: str) -> None:
        if self._follower is not None:
            self._follower.away(node)

    def _need(self, verb: str, node: str, *statuses: NodeStatus) -> NodeState:
        state = self.state(node)
        if state.status is NodeStatus.GONE:
            raise EngineError(f"{verb} {node}: the node is gone; it was removed from outside of the lab")
        if state.status not in statuses:
            raise NothingChangedError(verb, node, state)
        return state

    @abstractmethod
    def _start(self, node: str) -> None: ...

    @abstractmethod
    def _kill(self, node: str) -> None: ...

    @abstractmethod
    def _stop(self, node: str) -> None: ...

    @abstractmethod
    def _pause(self, node: str) -> None: ...

    @abstractmethod
    def _resume(self, node: str) -> None: ...
