"""Execution of scripts in nodes' network namespaces.

There is one command for each node, a few at a time, or one command for many nodes.

Tested by tests/unit/lab/network/test_controller.py.
"""

from __future__ import annotations

import shlex
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.lab.errors import LabError
from torrentnet.lab.network.render import SHELL
from torrentnet.shaper import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torrentnet.lab.engines.types import BatchExec, ExecResult

MAX_PARALLEL: Final = 6
"""Commands at the same time: more would only wait for the engine and the processors."""
BATCH_THRESHOLD: Final = 2
"""Up to this many nodes, one command for each is faster than one for all."""
STARTS_DAEMON: Final = shlex.join(rules.APPLY)
"""A script with this command leaves a program running."""


class NodeExec(Protocol):
    """A function that runs a command as root in a node's network namespace.

    The command has all capabilities.
    """

    def __call__(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        """Return the command's result. Raises LabError where the node cannot be reached."""
        ...


class NetnsExec:
    """An executor of scripts in the nodes of one lab. Safe to call from any thread."""

    def __init__(self, run: NodeExec, make_batch_exec: Callable[[], BatchExec | None] | None = None) -> None:
        """Create an executor that calls ``run`` for each node's script.

        ``make_batch_exec``: see :meth:`torrentnet.lab.engines.interface.Engine.batch_exec`.
        """
        self._run = run
        self._make_batch_exec = make_batch_exec
        self._batch_exec: Future[BatchExec | None] | None = None
        self._pool = ThreadPoolExecutor(MAX_PARALLEL, thread_name_prefix="network")

    def prepare_batch(self) -> None:
        """Prepare in the background to run many scripts by one command."""
        if self._make_batch_exec is not None:
            self._batch_exec = self._pool.submit(self._make_batch_exec)

    def warm_up(self, nodes: Iterable[str]) -> None:
        """Run an empty script in these nodes, in the background.

        Nothing is run unless :meth:`prepare_batch` was called.
        """
        scripts = dict.fromkeys(nodes, ":\n")
        if scripts:
            self._pool.submit(self._run_batch, scripts)

    def run_all(self, scripts: Mapping[str, str]) -> dict[str, ExecResult | LabError]:
        """Run each node's script; return its result, or why the node cannot be reached."""
        results: dict[str, ExecResult | LabError] = {}
        if len(scripts) > BATCH_THRESHOLD:
            # A program that a script leaves running must live and end with its node, not with the helper.
            results |= self._run_batch({node: text for node, text in scripts.items() if STARTS_DAEMON not in text})
        rest = [node for node in scripts if node not in results]
        return results | dict(
            zip(rest, self._pool.map(lambda node: self._run_one(node, scripts[node]), rest), strict=True)
        )

    def close(self) -> None:
        """End the threads after their present commands."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_batch(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        """Return the results; none where there is no batch exec, or it has failed once."""
        if self._batch_exec is None or not scripts:
            return {}
        try:
            batch_exec = self._batch_exec.result()
            return {} if batch_exec is None else batch_exec(scripts)
        except LabError:
            self._batch_exec = None  # a command for each node does the same, only later
            return {}

    def _run_one(self, node: str, script: str) -> ExecResult | LabError:
        try:
            return self._run(node, SHELL, script)
        except LabError as error:
            return error
