"""The base of all checks, and the checks of a node's state.

The checks that count are in :mod:`torrentnet.lab.verdict.counting_checks`.

Tested by tests/unit/lab/verdict/test_judge.py and tests/unit/lab/verdict/test_counting_checks.py.
"""

from __future__ import annotations

import math
import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from torrentnet.lab.engines.command_lines import file_path, listen_ports
from torrentnet.lab.engines.types import ALIVE, NodeStatus
from torrentnet.lab.scenario.plan.expectations import (
    BecomesCheckPlan,
    ConsoleCheckPlan,
    ExpectationPlan,
    ForgetsCheckPlan,
    HasCheckPlan,
    StateCheckPlan,
    Within,
)
from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.runtime.process import EXIT_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.run.lab_state import LabClock, LabState
    from torrentnet.lab.scenario.plan.expectations import Interval
    from torrentnet.lab.scenario.plan.plan import NodePlan

PlanT = TypeVar("PlanT", bound=ExpectationPlan)

HASH_TIMEOUT: Final = 60.0
OBSERVER: Final = "observer"
"""First word of the commands that an observer of a program executes itself."""
MAX_QUOTED_CHARS: Final = 160
"""Characters of a node's reply in a report."""


class TimelineQueries(Protocol):
    """The part of the timeline that checks query."""

    def began_at(self, index: int) -> float | None:
        """Return when the application of an event began.

        Returns None before that, or when the application failed.
        """

    def failed(self, index: int) -> bool:
        """Return whether an event was applied without effect."""

    def will_start(self, node: str) -> bool:
        """Return whether an item that starts the node is still to come."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The lab that is judged."""

    engine: Engine
    lab_state: LabState
    clock: LabClock
    timeline: TimelineQueries
    nodes: Mapping[str, NodePlan]
    hashes: Mapping[str, str]
    """SHA-256 of each file's source."""
    sizes: Mapping[str, int]
    """Bytes of each file's source."""
    events: Mapping[int, str]
    """The text of each event, by index."""
    time_limit: float


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one evaluation of a check."""

    holds: bool
    measured: str
    """For a person."""
    time: float | None = None
    """Seconds after t = 0 at which the check became true; None where only this moment was checked."""
    queried: bool = True
    """Whether the engine or the node was queried, which is not free, unlike a query of the lab state."""
    impossible: bool = False
    """Whether the check can no longer become true."""
    reachable: bool = True
    """Whether the node could be queried."""
    unreadable: bool = False
    """Whether the reply says nothing: it is malformed, or the query failed. Such a reply decides nothing."""
    waits: bool = False
    """Whether nothing has happened yet by which the check could be decided. It is then unreadable."""


class Check(ABC, Generic[PlanT]):
    """The check of one expectation on one node."""

    interval: float = 0.5
    """Seconds between two queries for what must hold all the time."""
    reads_lines = True
    """Whether what the node has printed, or its past states, decide the check."""
    inspect_words = "status"
    """The command on the node's command line with which a person can check the same."""

    def __init__(self, plan: PlanT, node: str, context: CheckContext) -> None:
        self.plan = plan
        self.node = node
        self.context = context

    @abstractmethod
    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        """Evaluate the check for now, or for any time between two bounds.

        The bounds are ``base`` and ``until``, in seconds after t = 0.
        """

    def inspect_command(self) -> str:
        """Return the command with which a person can check the same."""
        return self.context.engine.console_hint(self.node, self.inspect_words)

    @property
    def momentary(self) -> bool:
        """Whether the check must hold at this moment, whatever was before."""
        return not isinstance(self.plan.timing, Within)

    @property
    def capped(self) -> bool:
        """Whether a growing count must not exceed a bound.

        Only the end of the time can decide such a check.
        """
        return False

    def since(self, base: float) -> float:
        """Return the time (since the epoch) from which events count.

        The time is 0 unless the plan has ``after``.
        """
        return self.context.clock.epoch + base if self.plan.after is not None else 0.0

    def format_time(self, time: float, base: float) -> str:
        """Format a time for a person: ``at 3.2 s``, ``1.7 s after kill seeder-1``."""
        after = self.context.events.get(self.plan.after, "") if self.plan.after is not None else ""
        return f"{time - base:.1f} s after {after}" if after else f"at {max(0.0, time):.1f} s"

    def now(self, base: float) -> str:
        """Format the current time for a person."""
        return self.format_time(self.context.clock.now(), base)


def quote(text: str) -> str:
    """Return a node's reply as one line of a report."""
    flat = " / ".join(text.split("\n"))
    return flat if len(flat) <= MAX_QUOTED_CHARS else f"{flat[:MAX_QUOTED_CHARS]} ..."


def format_interval(interval: Interval, show: Callable[[int], str] = str) -> str:
    """Format an interval for a person: ``at least 3``."""
    if interval.least is not None and interval.least == interval.most:
        return f"exactly {show(interval.least)}"
    if interval.least is not None and interval.most is not None:
        return f"{show(interval.least)} to {show(interval.most)}"
    if interval.most is not None:
        return f"at most {show(interval.most)}"
    return f"at least {show(interval.least or 0)}"


# -- the checks of a node's state ---------------------------------------------------------------


class FileCheck(Check[HasCheckPlan]):
    """A check that a node's file is complete and has the source's SHA-256.

    The node reports that the file is complete. The SHA-256 is that of the bytes in the node.
    """

    interval = 2.0

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
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
            return CheckResult(holds=False, measured=f"{self._progress()}; sha256sum printed nothing", unreadable=True)
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
        ours = self.context.nodes[self.node].program is NodeProgram.OURS
        return self.context.engine.console_hint(self.node, "request logs" if ours else "status")


class PeerStateCheck(Check[BecomesCheckPlan]):
    """A check that the peer reports a state: ``get`` or ``seed``."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
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


class ForgottenPeersCheck(Check[ForgetsCheckPlan]):
    """A check that the tracker reports each of some peers as left or forgotten."""

    inspect_words = "peers"

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        times: dict[str, float] = {}
        ports = listen_ports(self.context.nodes.values())
        for peer in self.plan.peers:
            # Any node can announce itself under any name, but only from its own address. The tracker does not know the
            # lab's names of other people's programs.
            wanted = {"address": f"{self.context.engine.locations[peer].address}:{ports[peer]}"}
            if self.context.nodes[peer].program is NodeProgram.OURS:
                wanted["peer"] = peer
            event = self.context.lab_state.first(self.node, "forgotten", "left", since=self.since(base), **wanted)
            if event is None:
                return CheckResult(holds=False, measured=f"{peer} is still known", queried=False)
            times[peer] = self.context.clock.of(event.time)
        last = max(times.values())
        return CheckResult(
            holds=True, measured=f"{', '.join(times)} forgotten {self.format_time(last, base)}", time=last
        )


class ConsoleCheck(Check[ConsoleCheckPlan]):
    """A check that a command's output contains some texts and lacks others.

    The command runs on the node's command line.
    """

    reads_lines = False

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        words, asked = shlex.split(self.plan.command), self.now(base)
        answer = self.context.engine.exec(self.node, ["console", *words])
        text = answer.output
        if answer.status == EXIT_UNAVAILABLE and words[:1] == [OBSERVER]:
            return CheckResult(holds=False, measured=f"cannot be observed: {quote(text)}", unreadable=True)
        if answer.status != 0 and not self.plan.contains:
            # What a message of failure lacks says nothing.
            return CheckResult(holds=False, measured=f"ended with status {answer.status}: {quote(text)}")
        wrong = [f"no `{one}`" for one in self.plan.contains if one not in text]
        wrong += [f"there is `{one}`" for one in self.plan.lacks if one in text]
        if self.plan.empty is not None and self.plan.empty is bool(text.strip()):
            wrong.append("there is output" if self.plan.empty else "there is no output")
        if wrong:
            shown = f" in: {quote(text)}" if text else ""
            return CheckResult(holds=False, measured=f"{', '.join(wrong)}{shown}")
        return CheckResult(holds=True, measured=f"true {asked}")

    def inspect_command(self) -> str:
        return self.context.engine.console_hint(self.node, self.plan.command)


class NodeStatusCheck(Check[StateCheckPlan]):
    """A check that the engine reports a state of the node."""

    reads_lines = False

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        state = self.context.engine.state(self.node)
        measured = f"{state} at {self.context.clock.now():.1f} s"
        return CheckResult(holds=str(state.status) == self.plan.state, measured=measured)

    def inspect_command(self) -> str:
        return "torrentnet status"
