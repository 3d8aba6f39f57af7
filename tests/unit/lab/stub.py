"""An engine whose nodes are up at once and print what real ones would."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.unit.lab.fakes import FakeEngine
from torrentnet.lab.engines.types import ExecResult, LogLine, NodeState, NodeStatus, StateChange
from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.lab.engines.types import LabSpec, LossCallback, ProgressCallback

SCENARIO = """\
about: A tracker, some seeders and a leecher.
parameters: {seeders: 2}
files: {a.txt: {size: 1KiB}}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.txt, count: $seeders}
  leecher: {get: a.txt}
"""


class StubEngine(FakeEngine):
    """Records its calls: ``done`` includes ``destroy`` and ``close``."""

    def __init__(self) -> None:
        super().__init__()
        self._roles: dict[str, str] = {}
        self._on_line: Callable[[LogLine], None] | None = None
        self._on_state: Callable[[StateChange], None] | None = None
        self.on_lost: LossCallback = lambda _, __: None

    def create(self, spec: LabSpec, progress: ProgressCallback) -> None:
        self._roles = {node.name: node.role for node in spec.nodes}
        self.states = dict.fromkeys(self._roles, NodeState(NodeStatus.CREATED))

    def watch(
        self,
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None:
        self._on_line, self._on_state, self.on_lost = on_line, on_state, on_lost

    def say(self, node: str, text: str) -> None:
        """Let a node print an event line."""
        now = time.time()
        if self._on_line is not None:
            self._on_line(LogLine(node, now, f"{format_timestamp(now)} {text}"))

    def _do(self, verb: str, node: str, status: NodeStatus, code: int | None = None) -> None:
        super()._do(verb, node, status, code)
        if self._on_state is not None:
            self._on_state(StateChange(node, time.time(), self.states[node]))
        if verb == "start":
            self.say(node, f"listening program=x name={node} address=198.18.0.2:1")
            if self._roles[node] == "share":
                self.say(node, "published file=a.txt size=1024 pieces=1 info_hash=00")

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        return ExecResult(0, f"{' '.join(argv)} in {node}\n", "")

    def destroy(self) -> None:
        self.done.append("destroy")

    def close(self) -> None:
        self.done.append("close")
