"""Bare nodes of the engine local.

They run the same tests as the containers of ``network_nodes``.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.helpers import ROOT
from tests.integration.network_nodes import Agent, Nodes
from torrentnet.lab.engines.local import registry
from torrentnet.lab.engines.local.engine import LocalEngine
from torrentnet.lab.engines.types import LabSpec, Mode, NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torrentnet.lab.engines.types import ExecResult


class LocalNodes(Nodes):
    """Processes that only wait, each in a network namespace."""

    def _make(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="tn-nodes-"))
        self._engine = LocalEngine(ROOT)
        files = self._home / "own" / "files"
        files.mkdir(parents=True)
        project = f"torrentnet-calibration-{secrets.token_hex(3)}"
        names = [f"node-{number}" for number in range(1, self.count + 1)]
        self._engine.create(
            LabSpec(
                project=project,
                scenario="calibration",
                mode=Mode.RUN,
                home=self._home,
                files=files,
                record=self._home,
                nodes=tuple(NodeSpec(name, "get", wants_files=False) for name in names),
                commands=lambda _: dict.fromkeys(names, ("sleep", "infinity")),
            ),
            lambda _: None,
        )
        entry = registry.find(project)
        assert entry is not None
        self._directory = entry.path
        self.addresses = {name: location.address for name, location in self._engine.locations.items()}
        for name in names:
            self._engine.start(name)

    def _remove(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self._home, ignore_errors=True)
            stack.callback(self._engine.close)
            stack.callback(self._engine.destroy)

    def restart(self, node: str) -> None:
        self._engine.kill(node)
        self._engine.start(node)

    @contextlib.contextmanager
    def paused(self, node: str) -> Iterator[None]:
        self._engine.pause(node)
        try:
            yield
        finally:
            self._engine.resume(node)

    def root(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        return self._engine.exec_root(node, argv, stdin)

    def agent(self, node: str, program: str, *arguments: object) -> Agent:
        words = ["tests.integration.local_exec", str(self._directory), node, "python3", "-c", program]
        return self._started(
            node,
            subprocess.Popen(
                [sys.executable, "-m", *words, *map(str, arguments)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ),
        )
