"""Checks of numbers: known peers, log lines, exit statuses, interface bytes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.run.facts.line_counter import describe_pattern
from torrentnet.lab.scenario.plan.expectations import (
    BytesCheckPlan,
    ExitCheckPlan,
    KnowsCheckPlan,
    LogCheckPlan,
    PairsCheckPlan,
)
from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.lab.verdict.checks import Check, CheckResult, format_interval, quote

if TYPE_CHECKING:
    from torrentnet.lab.verdict.checks import CheckContext

MAX_QUOTED_PEERS: Final = 8
MAX_PROTOCOL_BYTES: Final = 1024
"""From a peer that sends nothing of a file."""
INTERFACES: Final = "/proc/net/dev"
LOOPBACK: Final = "lo"
RECEIVED: Final = 0
"""Column of the received bytes in a line of INTERFACES (Linux, proc_pid_net(5))."""
SENT: Final = 8
"""Column of the sent bytes."""
COLUMNS: Final = 16
UNITS: Final = ("KiB", "MiB", "GiB")


class KnownPeersCheck(Check[KnowsCheckPlan]):
    """A check that the tracker's ``peers`` command lists a number of peers."""

    reads_lines = False
    inspect_words = "peers"

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        asked = self.now(base)
        answer = self.context.engine.exec(self.node, ["console", "peers", "--json"])
        if answer.status != 0:
            measured = f"`peers` ended with status {answer.status}: {quote(answer.output)}"
            return CheckResult(holds=False, measured=measured, unreadable=True)
        names = parse_peer_names(answer.stdout)
        if names is None:
            measured = f"the output of `peers` cannot be read: {quote(answer.output)}"
            return CheckResult(holds=False, measured=measured, unreadable=True)
        text, holds = describe_peers(names), len(names) in self.plan.count
        if not holds:
            text += f", expected {format_interval(self.plan.count)}"
        return CheckResult(holds=holds, measured=f"{text}, {asked}")


class LogCheck(Check[LogCheckPlan]):
    """A check of the number of lines in the node's log that match a pattern."""

    def __init__(self, plan: LogCheckPlan, node: str, context: CheckContext) -> None:
        super().__init__(plan, node, context)
        context.lab_state.count_lines(node, plan.pattern)

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        clock, pattern, since = self.context.clock, self.plan.pattern, self.since(base)
        counted = self.context.lab_state.line_count(self.node, pattern, since, clock.epoch + until)
        number, least, most = counted.number, self.plan.count.least, self.plan.count.most
        holds = number in self.plan.count
        text = f"{count_text(number, 'line') if number else 'no line'} with {describe_pattern(pattern)}"
        if not holds:
            text += f", expected {format_interval(self.plan.count)}"
        if counted.times:
            first, last = (clock.of(time) for time in counted.times)
            text += f"; the last {self.format_time(last, base)}" if number > 1 else f"; {self.format_time(first, base)}"
            text += f": {quote(counted.last_text)}" if not holds else ""
        time = None
        if holds and not self.capped and not self.momentary:
            nth = self.context.lab_state.nth_line(self.node, pattern, max(1, least or 0), since)
            time = None if nth is None else clock.of(nth)
        impossible = most is not None and number > most
        return CheckResult(holds=holds, measured=text, time=time, queried=False, impossible=impossible)

    @property
    def capped(self) -> bool:
        return self.plan.count.most is not None

    def inspect_command(self) -> str:
        return f"logs/{self.node}.log in the record"


class ExitCheck(Check[ExitCheckPlan]):
    """A check that the node's program has ended with an exit status."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        clock, wanted = self.context.clock, self.plan.status
        if self.momentary:
            state = self.context.engine.state(self.node)
            if state.status is not NodeStatus.EXITED:
                return CheckResult(holds=False, measured=f"has not ended: {state} at {clock.now():.1f} s")
            holds = state.exit_code == wanted
            text = f"{_exit_text(state.exit_code)}, seen at {clock.now():.1f} s"
            return CheckResult(holds=holds, measured=text if holds else f"{text}, expected status {wanted}")
        exits = [change for change in self.context.lab_state.exits(self.node) if change.time >= self.since(base)]
        found = next((change for change in exits if change.state.exit_code == wanted), None)
        shown = found or (exits[-1] if exits else None)
        if shown is None:
            state = self.context.lab_state.snapshot(self.node).state
            return CheckResult(holds=False, measured=f"has not ended: {state}", queried=False)
        time = clock.of(shown.time)
        text = f"{_exit_text(shown.state.exit_code)} {self.format_time(time, base)}"
        if found is None:
            return CheckResult(holds=False, measured=f"{text}, expected status {wanted}", queried=False)
        return CheckResult(holds=True, measured=text, time=time, queried=False)

    def inspect_command(self) -> str:
        return f"logs/{self.node}.log in the record"


class TrafficCheck(Check[BytesCheckPlan]):
    """A check of the number of bytes that a node has sent and received.

    The bytes are those since the node was last started. The numbers are the kernel's, of all interfaces but the
    loopback: bytes of frames with their headers, of every protocol, retransmissions included. The headers of a packet
    that the kernel hands over in one piece and that is segmented later (up to 64 KiB) count once.
    """

    reads_lines = False

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        observed = self.context.nodes[self.node].program is NodeProgram.FOREIGN
        # A strange image may have no `cat`.
        argv = ["console", "observer", "interfaces"] if observed else ["cat", INTERFACES]
        answer = self.context.engine.exec(self.node, argv)
        counted = parse_interface_bytes(answer.stdout)
        if answer.status != 0 or counted is None:
            measured = f"{INTERFACES} cannot be read: {quote(answer.output)}"
            return CheckResult(holds=False, measured=measured, unreadable=True)
        parts, holds, impossible = [], True, False
        for what, interval, number in (
            ("sent", self.plan.sent, counted[0]),
            ("received", self.plan.received, counted[1]),
        ):
            if interval is None:
                continue
            inside = number in interval
            holds = holds and inside
            impossible = impossible or (interval.most is not None and number > interval.most)
            expected = "" if inside else f", expected {format_interval(interval, format_bytes)}"
            parts.append(f"{what} {format_bytes(number)}{expected}")
        return CheckResult(holds=holds, measured=f"{'; '.join(parts)}, {self.now(base)}", impossible=impossible)

    @property
    def capped(self) -> bool:
        return any(
            interval is not None and interval.most is not None for interval in (self.plan.sent, self.plan.received)
        )

    def inspect_command(self) -> str:
        return f"{INTERFACES} in {self.node}"


class PairsCheck(Check[PairsCheckPlan]):
    """A check of the content that a node has exchanged with some peers.

    It can also be of how many of the peers have sent the node any.
    The bytes are those since the lab began. :mod:`torrentnet.lab.run.facts.pair_table` says who counts them.
    """

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        received_from = {peer: self.context.lab_state.received(self.node, peer) for peer in self.plan.peers}
        sent = sum(self.context.lab_state.received(peer, self.node) for peer in self.plan.peers)
        least = self._least_content()
        sources = [peer for peer, number in received_from.items() if number >= least]
        parts, holds, impossible = [], True, False
        for interval, number, text, show in (
            (self.plan.received, sum(received_from.values()), "received {}", format_bytes),
            (self.plan.sent, sent, "sent {}", format_bytes),
            (self.plan.count, len(sources), "received from {}", str),
        ):
            if interval is None:
                continue
            inside = number in interval
            holds = holds and inside
            impossible = impossible or (interval.most is not None and number > interval.most)
            shown = describe_peers(sources) if interval is self.plan.count else show(number)
            expected = "" if inside else f", expected {format_interval(interval, show)}"
            parts.append(f"{text.format(shown)}{expected}")
        measured = f"{'; '.join(parts)}, {self.now(base)}"
        return CheckResult(holds=holds, measured=measured, queried=False, impossible=impossible)

    def _least_content(self) -> int:
        """Return the bytes that are content, and no mere question or refusal."""
        file = self.context.nodes[self.node].file
        size = self.context.sizes.get(file or "", MAX_PROTOCOL_BYTES)
        return max(1, min(MAX_PROTOCOL_BYTES, size // 2))

    @property
    def capped(self) -> bool:
        intervals = (self.plan.received, self.plan.sent, self.plan.count)
        return any(interval is not None and interval.most is not None for interval in intervals)

    def inspect_command(self) -> str:
        return f"`pair`, `upload` and `completed` of {self.node} and its peers in events.jsonl of the record"


def parse_peer_names(text: str) -> list[str] | None:
    """Return each peer in the output of ``peers --json`` once.

    Returns None where the output is malformed.
    """
    found: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
            found[str(row["peer"]), str(row["address"])] = str(row["peer"])
        except (ValueError, KeyError, TypeError):
            return None
    return list(found.values())


def parse_interface_bytes(text: str) -> tuple[int, int] | None:
    """Return the bytes sent and received by all interfaces but the loopback.

    Returns None where ``text`` is malformed.
    """
    sent = received = 0
    found = False
    for line in text.splitlines():
        name, colon, numbers = line.partition(":")
        if not colon:
            continue
        columns = numbers.split()
        if len(columns) != COLUMNS or not all(column.isdigit() for column in columns):
            return None
        found = True
        if name.strip() != LOOPBACK:
            received += int(columns[RECEIVED])
            sent += int(columns[SENT])
    return (sent, received) if found else None


def format_bytes(number: int) -> str:
    """Format a number of bytes: ``8.1 MiB (8493465 bytes)``."""
    exact = count_text(number, "byte")
    size, unit = float(number), ""
    for larger in UNITS:
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit} ({exact})" if unit else exact


def describe_peers(names: list[str]) -> str:
    """Return the number of some peers, with their names."""
    more = f" and {len(names) - MAX_QUOTED_PEERS} more" if len(names) > MAX_QUOTED_PEERS else ""
    return count_text(len(names), "peer") + (f" ({', '.join(names[:MAX_QUOTED_PEERS])}{more})" if names else "")


def count_text(number: int, what: str) -> str:
    """Return a number of things: ``1 peer``, ``2 peers``."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def _exit_text(code: int | None) -> str:
    return "ended" if code is None else f"ended with status {code}"
