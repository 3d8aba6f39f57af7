"""How a script gets into the network of a node: by a command of the engine's, or many scripts by one command."""

from __future__ import annotations

import shlex
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.network.controller import MAX_PARALLEL
from torrentnet.lab.network.render import SHELL
from torrentnet.shaper import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torrentnet.lab.engines.docker.batch_exec import BatchExec, Result
    from torrentnet.lab.engines.interface import Engine

STARTS_DAEMON = shlex.join(rules.APPLY)
"""A script with this command leaves a program behind."""
EXIT_NOT_RUN = 125
"""In place of the exit status of a script that could not be run."""


class NetnsExec:
    """The ways into the nodes of one lab. Safe to call from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._hand = ThreadPoolExecutor(1, "helper")
        self._helper: Future[BatchExec | None] | None = None

    def prepare_many(self) -> None:
        """Make ready, in the background, what :meth:`run_many` needs."""
        self._helper = self._hand.submit(self._engine.together)

    def warm(self, nodes: Iterable[str]) -> None:
        """Reach these nodes once, in the background, where :meth:`prepare_many` was called."""
        scripts = dict.fromkeys(nodes, ":\n")
        if self._helper is not None and scripts:
            # Where it does not work, the first fault finds another way.
            self._hand.submit(lambda: self.run_many(scripts))

    def run(self, node: str, argv: Sequence[str], stdin: str) -> Result:
        """Run a command in a node as root."""
        answer = self._engine.exec_root(node, argv, stdin)
        return answer.status, answer.stdout, answer.stderr

    def run_many(self, scripts: Mapping[str, str]) -> Mapping[str, Result]:
        """Run a script in each of these nodes. Raises EngineError where the engine has no way to do so at once."""
        run = self._helper.result() if self._helper is not None else None
        if run is None:
            raise EngineError("the engine has no way to reach many nodes by one command")
        # A program that stays must live and end with its node, not with the helper.
        stay = {node: script for node, script in scripts.items() if STARTS_DAEMON in script}
        others = {node: script for node, script in scripts.items() if node not in stay}
        results = dict(run(others)) if others else {}
        if stay:
            with ThreadPoolExecutor(MAX_PARALLEL, "node") as hands:
                results |= zip(stay, hands.map(self._run_alone, stay, stay.values()), strict=True)
        return results

    def close(self) -> None:
        """Let go of the thread."""
        self._hand.shutdown(cancel_futures=True)

    def _run_alone(self, node: str, script: str) -> Result:
        try:
            return self.run(node, SHELL, script)
        except LabError as error:
            return EXIT_NOT_RUN, "", error.message
