"""Runs scripts in several nodes at once: one command for each, a few at a time, or one for all of them.

Tested by tests/unit/lab/network/test_controller.py.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.lab.errors import LabError
from torrentnet.lab.network.render import SHELL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.lab.engines.types import BatchExec, ExecResult

MAX_PARALLEL: Final = 6
"""Scripts that run at the same time: more would only wait for the engine and the processors."""
BATCH_THRESHOLD: Final = 2
"""Up to this many nodes, one command for each is faster than one for all."""


class NodeExec(Protocol):
    """Runs a command in a node as root with all capabilities, in the node's network namespace."""

    def __call__(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        """Return the command's result. Raises LabError where the node cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """A script's result, when it ended, and how many seconds it ran."""

    result: ExecResult | LabError
    at: float
    took: float


class ScriptRunner:
    """Runs scripts in nodes. Safe to call from any thread; ``close`` ends its threads."""

    def __init__(
        self,
        run: NodeExec,
        batch_exec: BatchExec | None = None,
        *,
        parallel: int = MAX_PARALLEL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``batch_exec`` is used for more than a few nodes, until it fails for the first time."""
        self._run = run
        self._batch_exec = batch_exec
        self._clock = clock
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="network")

    def close(self) -> None:
        """End the threads after their present scripts."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run_all(self, scripts: Mapping[str, str]) -> dict[str, ScriptRun]:
        """Run each node's script and wait for all of them."""
        if self._batch_exec is not None and len(scripts) > BATCH_THRESHOLD:
            began = self._clock()
            try:
                results = self._batch_exec(scripts)
            except LabError:
                self._batch_exec = None  # a command for each node does the same, only later
            else:
                now = self._clock()
                return {node: ScriptRun(results[node], now, now - began) for node in scripts}
        return dict(zip(scripts, self._pool.map(self._run_one, scripts, scripts.values()), strict=True))

    def _run_one(self, node: str, script: str) -> ScriptRun:
        began = self._clock()
        result: ExecResult | LabError
        try:
            result = self._run(node, SHELL, script)
        except LabError as error:
            result = error
        now = self._clock()
        return ScriptRun(result, now, now - began)
