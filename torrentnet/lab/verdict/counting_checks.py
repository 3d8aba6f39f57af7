"""The checks that count: peers that the tracker knows, lines of a log, exit statuses, bytes of an interface."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.run.line_counter import describe_pattern
from torrentnet.lab.scenario.plan import BytesCheckPlan, ExitCheckPlan, KnowsCheckPlan, LogCheckPlan
from torrentnet.lab.verdict.check import Check, CheckResult, format_bound, quote

if TYPE_CHECKING:
    from torrentnet.lab.verdict.check import CheckContext

MAX_QUOTED_PEERS = 8
INTERFACES = "/proc/net/dev"
LOOPBACK = "lo"
RECEIVED, SENT, COLUMNS = 0, 8, 16
"""Where the counters of bytes are among a line's numbers (Linux, proc_pid_net(5))."""
UNITS = ("KiB", "MiB", "GiB")


class KnownPeersCheck(Check[KnowsCheckPlan]):
    """The tracker's ``peers`` lists so many peers."""

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        answer = self.stage.engine.exec(self.node, ["console", "peers", "--json"])
        if answer.status != 0:
            return CheckResult(yes=False, measured=f"`peers` ended with status {answer.status}: {quote(answer.output)}")
        names = parse_peer_names(answer.stdout)
        if names is None:
            return CheckResult(yes=False, measured=f"`peers` answered what cannot be read: {quote(answer.output)}")
        bound = self.plan.count
        yes = len(names) in bound
        text = _count_text(len(names), "peer")
        if names:
            more = f" and {len(names) - MAX_QUOTED_PEERS} more" if len(names) > MAX_QUOTED_PEERS else ""
            text += f" ({', '.join(names[:MAX_QUOTED_PEERS])}{more})"
        if not yes:
            text += f", expected {format_bound(bound)}"
        return CheckResult(yes=yes, measured=f"{text}, {self.show(self.stage.clock.now(), base)}")

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, "peers")


class LogCheck(Check[LogCheckPlan]):
    """So many lines of the node's log hold a text, or are events of a kind."""

    def __init__(self, plan: LogCheckPlan, node: str, stage: CheckContext) -> None:
        super().__init__(plan, node, stage)
        self._pattern = plan.pattern
        self._bound = plan.count
        stage.board.follow(node, self._pattern)

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        clock, bound, since = self.stage.clock, self._bound, self.since(base)
        seen = self.stage.board.count(self.node, self._pattern, since, clock.epoch + until)
        yes = seen.number in bound
        text = (
            f"{_count_text(seen.number, 'line')} with {describe_pattern(self._pattern)}"
            if seen.number
            else self._none()
        )
        if not yes:
            text += f", expected {format_bound(bound)}"
        if seen.times:
            first, last = (clock.of(time) for time in seen.times)
            text += f"; the last {self.show(last, base)}" if seen.number > 1 else f"; {self.show(first, base)}"
            text += f": {quote(seen.last_text)}" if not yes else ""
        time = None
        if yes and not self.capped and not self.at_once:
            nth = self.stage.board.nth(self.node, self._pattern, max(1, bound.least or 0), since)
            time = None if nth is None else clock.of(nth)
        hopeless = bound.most is not None and seen.number > bound.most
        return CheckResult(yes=yes, measured=text, time=time, asked=False, hopeless=hopeless)

    def _none(self) -> str:
        return f"no line with {describe_pattern(self._pattern)}"

    @property
    def capped(self) -> bool:
        """See :attr:`Looker.capped`."""
        return self._bound.most is not None

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return f"logs/{self.node}.log in the record"


class ExitCheck(Check[ExitCheckPlan]):
    """The node's program has ended, with this exit status."""

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        clock, wanted = self.stage.clock, self.plan.status
        if self.at_once:
            state = self.stage.engine.state(self.node)
            if state.status is not NodeStatus.EXITED:
                return CheckResult(yes=False, measured=f"has not ended: {state} at {clock.now():.1f} s")
            yes = state.exit_code == wanted
            text = f"{_exit_text(state.exit_code)}, seen at {clock.now():.1f} s"
            return CheckResult(yes=yes, measured=text if yes else f"{text}, expected status {wanted}")
        ends = [end for end in self.stage.board.ends(self.node) if end.time >= self.since(base)]
        found = next((end for end in ends if end.state.exit_code == wanted), None)
        told = found or (ends[-1] if ends else None)
        if told is None:
            return CheckResult(
                yes=False, measured=f"has not ended: {self.stage.board.view(self.node).state}", asked=False
            )
        time = clock.of(told.time)
        text = f"{_exit_text(told.state.exit_code)} {self.show(time, base)}"
        if found is None:
            return CheckResult(yes=False, measured=f"{text}, expected status {wanted}", asked=False)
        return CheckResult(yes=True, measured=text, time=time, asked=False)

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return f"logs/{self.node}.log in the record"


class TrafficCheck(Check[BytesCheckPlan]):
    """The node's interface has sent and received so much since the node was last started.

    The numbers are the kernel's own, of all interfaces but the loopback: bytes of frames with their headers, of every
    protocol, repeated segments included. A packet that the kernel hands over in one piece to be cut up later (up to
    64 KiB) has its headers counted once.
    """

    def look(self, base: float, until: float = math.inf) -> CheckResult:
        """See :meth:`Looker.look`."""
        answer = self.stage.engine.exec(self.node, ["cat", INTERFACES])
        counted = parse_interface_bytes(answer.stdout)
        if answer.status != 0 or counted is None:
            return CheckResult(yes=False, measured=f"{INTERFACES} cannot be read: {quote(answer.output)}")
        parts, yes, hopeless = [], True, False
        for what, bound, number in (
            ("sent", self.plan.sent, counted[0]),
            ("received", self.plan.received, counted[1]),
        ):
            if bound is None:
                continue
            inside = number in bound
            yes = yes and inside
            hopeless = hopeless or (bound.most is not None and number > bound.most)
            expected = "" if inside else f", expected {format_bound(bound, format_bytes)}"
            parts.append(f"{what} {format_bytes(number)}{expected}")
        text = "; ".join(parts)
        return CheckResult(yes=yes, measured=f"{text}, {self.show(self.stage.clock.now(), base)}", hopeless=hopeless)

    @property
    def capped(self) -> bool:
        """See :attr:`Looker.capped`."""
        return any(bound is not None and bound.most is not None for bound in (self.plan.sent, self.plan.received))

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return f"{INTERFACES} in {self.node}"


def parse_peer_names(text: str) -> list[str] | None:
    """The peers that ``peers --json`` lists, each once; None where it is no such list."""
    found: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
            found[str(row["peer"]), str(row["address"])] = str(row["peer"])
        except (ValueError, KeyError, TypeError):
            return None
    return list(found.values())


def parse_interface_bytes(text: str) -> tuple[int, int] | None:
    """What all interfaces but the loopback have sent and received, from ``/proc/net/dev``; None where it is none."""
    sent = received = 0
    there = False
    for line in text.splitlines():
        name, colon, numbers = line.partition(":")
        if not colon:
            continue
        columns = numbers.split()
        if len(columns) != COLUMNS or not all(column.isdigit() for column in columns):
            return None
        there = True
        if name.strip() != LOOPBACK:
            received += int(columns[RECEIVED])
            sent += int(columns[SENT])
    return (sent, received) if there else None


def format_bytes(number: int) -> str:
    """``8.1 MiB (8493465 bytes)``."""
    exact = _count_text(number, "byte")
    size, unit = float(number), ""
    for larger in UNITS:
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit} ({exact})" if unit else exact


def _count_text(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _exit_text(code: int | None) -> str:
    return "ended" if code is None else f"ended with status {code}"
