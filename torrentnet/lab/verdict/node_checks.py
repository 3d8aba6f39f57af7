"""The checks of the scenario language: what each looks at in a node, and what it measures."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any

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

HASH_TIMEOUT = 60.0


class FileCheck(Check[HasCheckPlan]):
    """The node has the file whole: it says so, and the bytes in the node have the source's SHA-256."""

    pause = 2.0

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        board, file = self.stage.board, self.plan.file
        said = board.first(self.node, "completed", since=self.since(base), file=file)
        said = said or board.first(self.node, "state", since=self.since(base), file=file, state="seed")
        if said is None and not self.at_once:
            return CheckResult(yes=False, measured=self._progress(), asked=False)
        node = self.stage.nodes[self.node]
        path = file_path(node, self.stage.engine.places[self.node])
        answer = self.stage.engine.exec(self.node, ["sha256sum", "--", path], timeout=HASH_TIMEOUT)
        if answer.status != 0:
            return CheckResult(yes=False, measured=f"{self._progress()}; {answer.output[:MAX_QUOTED_CHARS]}")
        # GNU sha256sum puts a backslash first where it had to escape the file's name.
        found = answer.stdout.lstrip("\\").partition(" ")[0]
        if not found:
            # An engine under load may lose what a command said; it is asked again.
            return CheckResult(yes=False, measured=f"{self._progress()}; sha256sum told nothing")
        expected = self.stage.hashes[file]
        if found != expected:
            return CheckResult(yes=False, measured=f"SHA-256 is {found[:12]}..., the source's is {expected[:12]}...")
        time = self.stage.clock.of(said.time) if said else self.stage.clock.now()
        return CheckResult(yes=True, measured=f"whole {self.show(time, base)}, SHA-256 {found[:12]}...", time=time)

    def _progress(self) -> str:
        view = self.stage.board.view(self.node)
        if view.state.status is NodeStatus.CREATED:
            return "not started yet"
        if not view.pieces:
            return "has nothing yet"
        source = f", from {view.source}" if view.source else ""
        return f"{view.have} of {view.pieces} pieces ({100 * view.have // view.pieces} %){source}"

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        ours = self.stage.nodes[self.node].program is NodeProgram.OURS
        return self.stage.engine.look(self.node, "request logs" if ours else "status")


class PeerStateCheck(Check[BecomesCheckPlan]):
    """The node says that it is in a state of the peer program."""

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        board, wanted = self.stage.board, self.plan.state
        view = board.view(self.node)
        if self.at_once:
            yes = view.doing == wanted and view.state.status in ALIVE
            return CheckResult(yes=yes, measured=f"is {view.doing or view.state}")
        said = board.first(self.node, "state", since=self.since(base), state=wanted)
        if said is None:
            return CheckResult(yes=False, measured=f"is {view.doing or view.state}", asked=False)
        time = self.stage.clock.of(said.time)
        return CheckResult(yes=True, measured=f"{wanted} {self.show(time, base)}", time=time)

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, "status")


class ForgottenPeersCheck(Check[ForgetsCheckPlan]):
    """The tracker says of each node named that it left or was forgotten."""

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        times: dict[str, float] = {}
        for peer in self.plan.peers:
            wanted = {"peer": peer}
            if self.stage.nodes[peer].program is not NodeProgram.OURS:
                # The tracker knows most clients by no name of ours.
                wanted = {"address": f"{self.stage.engine.places[peer].address}:{PEER_PORT}"}
            said = self.stage.board.first(self.node, "forgotten", "left", since=self.since(base), **wanted)
            if said is None:
                return CheckResult(yes=False, measured=f"{peer} is still known", asked=False)
            times[peer] = self.stage.clock.of(said.time)
        last = max(times.values())
        return CheckResult(yes=True, measured=f"{', '.join(times)} forgotten {self.show(last, base)}", time=last)

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, "peers")


class ConsoleCheck(Check[ConsoleCheckPlan]):
    """The answer to a command at the node's command line holds some texts and lacks others."""

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        answer = self.stage.engine.exec(self.node, ["console", *shlex.split(self.plan.command)])
        text = answer.output
        missing = [wanted for wanted in self.plan.contains if wanted not in text]
        surplus = [unwanted for unwanted in self.plan.lacks if unwanted in text]
        if missing or surplus:
            wrong = [f"no `{one}`" for one in missing] + [f"there is `{one}`" for one in surplus]
            return CheckResult(yes=False, measured=f"{', '.join(wrong)} in: {quote(text)}")
        return CheckResult(yes=True, measured=f"so {self.show(self.stage.clock.now(), base)}")

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, self.plan.command)


class NodeStatusCheck(Check[StateCheckPlan]):
    """The engine says how the node lives."""

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        state = self.stage.engine.state(self.node)
        return CheckResult(
            yes=str(state.status) == self.plan.state, measured=f"{state} at {self.stage.clock.now():.1f} s"
        )

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return "torrentnet status"


CHECK_TYPES: Mapping[type[ExpectationPlan], type[Check[Any]]] = {
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
