"""Ways to run a script in a node's network namespace: one command for each node, or one for many.

Tested by tests/integration/test_faults.py.
"""

from __future__ import annotations

import shlex
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.network.render import SHELL
from torrentnet.lab.network.script_runner import MAX_PARALLEL
from torrentnet.shaper import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import BatchExec

STARTS_DAEMON: Final = shlex.join(rules.APPLY)
"""A script with this command leaves a program running."""
EXIT_NOT_RUN: Final = 125
"""Exit status that stands for a script that could not be run."""


class NetnsExec:
    """Runs scripts in the nodes of one lab. Safe to call from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._worker = ThreadPoolExecutor(1, "helper")
        self._batch: Future[BatchExec | None] | None = None

    def prepare_batch(self) -> None:
        """Prepare in the background what :meth:`batch_exec` needs."""
        self._batch = self._worker.submit(self._engine.batch_exec)

    def warm_up(self, nodes: Iterable[str]) -> None:
        """Run an empty script in these nodes, in the background, if :meth:`prepare_batch` was called."""
        scripts = dict.fromkeys(nodes, ":\n")
        if self._batch is not None and scripts:
            # Where it does not work, the first fault finds another way.
            self._worker.submit(lambda: self.batch_exec(scripts))

    def run(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        """Run a command in a node as root."""
        return self._engine.exec_root(node, argv, stdin)

    def batch_exec(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        """Run each node's script. Raises EngineError where the engine has no batch exec."""
        batch = self._batch.result() if self._batch is not None else None
        if batch is None:
            raise EngineError("the engine has no way to reach many nodes by one command")
        # A program that a script leaves running must live and end with its node, not with the helper.
        single = {node: script for node, script in scripts.items() if STARTS_DAEMON in script}
        batched = {node: script for node, script in scripts.items() if node not in single}
        results = dict(batch(batched)) if batched else {}
        if single:
            with ThreadPoolExecutor(MAX_PARALLEL, "node") as pool:
                results |= zip(single, pool.map(self._run_single, single, single.values()), strict=True)
        return results

    def close(self) -> None:
        """End the background thread."""
        self._worker.shutdown(cancel_futures=True)

    def _run_single(self, node: str, script: str) -> ExecResult:
        try:
            return self.run(node, SHELL, script)
        except LabError as error:
            return ExecResult(EXIT_NOT_RUN, "", error.message)
