"""The checks of a node's state: its file, its peer state, the peers it forgot, its console, its process.

Tested by tests/unit/lab/verdict/test_judge.py.
"""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.command_lines import PEER_PORT, file_path
from torrentnet.lab.engines.types import ALIVE, NodeStatus
from torrentnet.lab.scenario.plan import (
    BecomesCheckPlan,
    BytesCheckPlan,
    ConsoleCheckPlan,
    ExitCheckPlan,
    ExpectationPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    KnowsCheckPlan,
    LogCheckPlan,
    NodeProgram,
    StateCheckPlan,
)
from torrentnet.lab.verdict.check import MAX_QUOTED_CHARS, Check, CheckResult, quote
from torrentnet.lab.verdict.counting_checks import ExitCheck, KnownPeersCheck, LogCheck, TrafficCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH_TIMEOUT: Final = 60.0


class FileCheck(Check[HasCheckPlan]):
    """The node reports that its file is complete, and the bytes in the node have the source's SHA-256."""

    interval = 2.0

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Check.evaluate`."""
        lab_state, file, since = self.context.lab_state, self.plan.file, self.since(base)
        event = lab_state.first(self.node, "completed", since=since, file=file)
        event = event or lab_state.first(self.node, "state", since=since, file=file, state="seed")
        if event is None and not self.momentary:
            return CheckResult(holds=False, measured=self._progress(), queried=False)
        path = file_path(self.context.nodes[self.node], self.context.engine.locations[self.node])
        answer = self.context.engine.exec(self.node, ["sha256sum", "--", path], timeout=HASH_TIMEOUT)
        if answer.status != 0:
            return CheckResult(holds=False, measured=f"{self._progress()}; {answer.output[:MAX_QUOTED_CHARS]}")
        # GNU sha256sum puts a backslash first where it had to escape the file's name.
        found = answer.stdout.lstrip("\\").partition(" ")[0]
        if not found:
            # An engine under load may lose a command's output; the next evaluation runs it again.
            return CheckResult(holds=False, measured=f"{self._progress()}; sha256sum printed nothing")
        expected = self.context.hashes[file]
        if found != expected:
            return CheckResult(holds=False, measured=f"SHA-256 is {found[:12]}..., the source's is {expected[:12]}...")
        time = self.context.clock.of(event.time) if event else self.context.clock.now()
        measured = f"complete {self.format_time(time, base)}, SHA-256 {found[:12]}..."
        return CheckResult(holds=True, measured=measured, time=time)

    def _progress(self) -> str:
        snapshot = self.context.lab_state.snapshot(self.node)
        if snapshot.state.status is NodeStatus.CREATED:
            return "not started yet"
        if not snapshot.pieces:
            return "has no piece yet"
        source = f", from {snapshot.source}" if snapshot.source else ""
        percent = 100 * snapshot.have // snapshot.pieces
        return f"{snapshot.have} of {snapshot.pieces} pieces ({percent} %){source}"

    def inspect_command(self) -> str:
        """See :meth:`Check.inspect_command`."""
        ours = self.context.nodes[self.node].program is NodeProgram.OURS
        return self.context.engine.console_hint(self.node, "request logs" if ours else "status")


class PeerStateCheck(Check[BecomesCheckPlan]):
    """The peer reports a state: ``get`` or ``seed``."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Check.evaluate`."""
        lab_state, wanted = self.context.lab_state, self.plan.state
        snapshot = lab_state.snapshot(self.node)
        if self.momentary:
            holds = snapshot.doing == wanted and snapshot.state.status in ALIVE
            return CheckResult(holds=holds, measured=f"is {snapshot.doing or snapshot.state}")
        event = lab_state.first(self.node, "state", since=self.since(base), state=wanted)
        if event is None:
            return CheckResult(holds=False, measured=f"is {snapshot.doing or snapshot.state}", queried=False)
        time = self.context.clock.of(event.time)
        return CheckResult(holds=True, measured=f"{wanted} {self.format_time(time, base)}", time=time)

    def inspect_command(self) -> str:
        """See :meth:`Check.inspect_command`."""
        return self.context.engine.console_hint(self.node, "status")


class ForgottenPeersCheck(Check[ForgetsCheckPlan]):
    """The tracker reports of each of some peers that it left or was forgotten."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Check.evaluate`."""
        times: dict[str, float] = {}
        for peer in self.plan.peers:
            wanted = {"peer": peer}
            if self.context.nodes[peer].program is not NodeProgram.OURS:
                # The tracker does not know the lab's names of other people's programs.
                wanted = {"address": f"{self.context.engine.locations[peer].address}:{PEER_PORT}"}
            event = self.context.lab_state.first(self.node, "forgotten", "left", since=self.since(base), **wanted)
            if event is None:
                return CheckResult(holds=False, measured=f"{peer} is still known", queried=False)
            times[peer] = self.context.clock.of(event.time)
        last = max(times.values())
        return CheckResult(
            holds=True, measured=f"{', '.join(times)} forgotten {self.format_time(last, base)}", time=last
        )

    def inspect_command(self) -> str:
        """See :meth:`Check.inspect_command`."""
        return self.context.engine.console_hint(self.node, "peers")


class ConsoleCheck(Check[ConsoleCheckPlan]):
    """The output of a command on the node's command line contains some texts and lacks others."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Check.evaluate`."""
        text = self.context.engine.exec(self.node, ["console", *shlex.split(self.plan.command)]).output
        wrong = [f"no `{one}`" for one in self.plan.contains if one not in text]
        wrong += [f"there is `{one}`" for one in self.plan.lacks if one in text]
        if wrong:
            return CheckResult(holds=False, measured=f"{', '.join(wrong)} in: {quote(text)}")
        return CheckResult(holds=True, measured=f"true {self.now(base)}")

    def inspect_command(self) -> str:
        """See :meth:`Check.inspect_command`."""
        return self.context.engine.console_hint(self.node, self.plan.command)


class NodeStatusCheck(Check[StateCheckPlan]):
    """The engine reports a state of the node."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Check.evaluate`."""
        state = self.context.engine.state(self.node)
        measured = f"{state} at {self.context.clock.now():.1f} s"
        return CheckResult(holds=str(state.status) == self.plan.state, measured=measured)

    def inspect_command(self) -> str:
        """See :meth:`Check.inspect_command`."""
        return "torrentnet status"


CHECK_TYPES: Final[Mapping[type[ExpectationPlan], type[Check[Any]]]] = {
    HasCheckPlan: FileCheck,
    BecomesCheckPlan: PeerStateCheck,
    ForgetsCheckPlan: ForgottenPeersCheck,
    ConsoleCheckPlan: ConsoleCheck,
    StateCheckPlan: NodeStatusCheck,
    KnowsCheckPlan: KnownPeersCheck,
    LogCheckPlan: LogCheck,
    ExitCheckPlan: ExitCheck,
    BytesCheckPlan: TrafficCheck,
}
