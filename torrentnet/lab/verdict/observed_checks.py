"""The checks of nodes whose programs are observed from outside.

docs/scenarios.md says of each how it is known, and how exactly.

Tested by tests/unit/lab/verdict/test_observed_checks.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.types import ALIVE
from torrentnet.lab.run.facts.observed_files import observed_files
from torrentnet.lab.run.facts.tracker_answers import most_listed, tracker_answers
from torrentnet.lab.scenario.plan.expectations import ForgetsCheckPlan, KnowsCheckPlan
from torrentnet.lab.verdict.checks import Check, CheckResult, FileCheck, format_interval
from torrentnet.lab.verdict.counting_checks import count_text, describe_peers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.run.facts.tracker_answers import TrackerAnswer
    from torrentnet.lab.verdict.checks import CheckContext
    from torrentnet.runtime.events import Event

ANSWERS_NEEDED: Final = 8
"""Answers without a peer that show that it is forgotten, where each may list a part of the peers at random."""
EMPTY_DELAY: Final = 2.0
"""Seconds after an empty answer in which its receiver may ask again: the first question may be none."""
NOBODY_ASKED: Final = "nobody has asked the tracker for a file"


class ObservedFileCheck(FileCheck):
    """A check that any file of a node has the source's size and SHA-256.

    The observer hashes the files, under whatever names the program keeps them. Of a program that has ended the
    observer's last event counts.
    """

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        lab_state, file, expected = self.context.lab_state, self.plan.file, self.context.hashes[self.plan.file]
        event = lab_state.first(self.node, "completed", "published", since=self.since(base), sha256=expected)
        if event is None and not self.momentary:
            return CheckResult(holds=False, measured=self._progress(), queried=False)
        time = self.context.clock.of(event.time) if event else self.context.clock.now()
        short = f"{expected[:12]}..."
        if self.context.engine.state(self.node).status not in ALIVE:
            measured = f"complete {self.format_time(time, base)}, SHA-256 {short}, before its end"
            return CheckResult(holds=event is not None, measured=measured if event else self._progress(), time=time)
        found = observed_files(self.context.engine, self.node, self.context.sizes[file])
        if found.problem:
            return CheckResult(holds=False, measured=f"{self._progress()}; {found.problem}", unreadable=True)
        path = next((path for path, sha256 in found.hashes.items() if sha256 == expected), None)
        if path is None:
            wrong = next(iter(found.hashes.items()), None)
            what = f"{wrong[0]} has SHA-256 {wrong[1][:12]}..." if wrong else "no file has its size"
            return CheckResult(holds=False, measured=f"{self._progress()}; {what}, the source's is {short}")
        measured = f"complete {self.format_time(time, base)} as {path}, SHA-256 {short}"
        return CheckResult(holds=True, measured=measured, time=time)

    def inspect_command(self) -> str:
        return self.context.engine.console_hint(self.node, f"observer files {self.context.sizes[self.plan.file]}")


class ObservedForgettingCheck(Check[ForgetsCheckPlan]):
    """A check that a tracker's answers list others, but not some peers.

    One answer decides that has every other peer that the tracker has ever listed and that runs. Of answers that may
    have a part of the peers at random, several are needed. Where no answer of the run has an address that can be read,
    the connections decide that peers try to make. As long as nobody asks, nothing is known.
    """

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        clock = self.context.clock
        bounds = (self.since(base), clock.epoch + until)
        every = tracker_answers(self.node, _sighted(self.context))
        times = []
        for peer in self.plan.peers:
            if any(answer.listed for answer in every):
                found = self._by_answers(peer, every, *bounds)
            else:
                found = self._by_connections(peer, *bounds)
            if not found.holds:
                return found
            times.append(found.time or 0.0)
        last = clock.of(max(times))
        names = ", ".join(self.plan.peers)
        measured = f"{names} not listed any more {self.format_time(last, base)}"
        return CheckResult(holds=True, measured=measured, time=last, queried=False)

    def _by_answers(self, peer: str, every: Sequence[TrackerAnswer], since: float, until: float) -> CheckResult:
        """Return whether answers lack a peer, and the time since the epoch."""
        counted = [answer for answer in every if since <= answer.time <= until and answer.asker != peer]
        listing = [answer.time for answer in counted if peer in answer.listed]
        lacking = [answer for answer in counted if answer.time > max(listing, default=-math.inf)]
        whole = next((answer for answer in lacking if self._lists_all_others(peer, answer, every)), None)
        if whole is not None:
            return CheckResult(holds=True, measured="", time=whole.time)
        return self._by_number(peer, [answer.time for answer in lacking if answer.listed], listing, "answer")

    def _lists_all_others(self, peer: str, answer: TrackerAnswer, every: Sequence[TrackerAnswer]) -> bool:
        """Return whether an answer lists each peer that was listed by then and runs.

        An empty list counts only when no other answer to the same peer has followed for a while.
        """
        if not answer.listed:
            until = answer.time + EMPTY_DELAY
            followed = any(one.asker == answer.asker and answer.time < one.time <= until for one in every)
            if followed or self.context.clock.epoch + self.context.clock.now() < until:
                return False
        before = (one.listed for one in every if one.time <= answer.time)
        known = frozenset().union(*before) - {peer, answer.asker}
        snapshot = self.context.lab_state.snapshot
        running = {node for node in known if node in self.context.nodes and snapshot(node).state.status in ALIVE}
        return running <= answer.listed

    def _by_connections(self, peer: str, since: float, until: float) -> CheckResult:
        """Return whether nodes connect to others, but not to a peer."""
        dialled: list[tuple[float, str]] = []
        for node in self.context.nodes:
            if node not in {peer, self.node}:
                for event in self.context.lab_state.events(node, "dialled"):
                    target = event.fields.get("address", "").partition(":")[0]
                    if since <= event.time <= until and target != self.node:
                        dialled.append((event.time, target))
        listing = sorted(time for time, target in dialled if target == peer)
        lacking = sorted(time for time, _ in dialled if time > max(listing, default=-math.inf))
        return self._by_number(peer, lacking, listing, "connection")

    def _by_number(self, peer: str, lacking: Sequence[float], listing: Sequence[float], what: str) -> CheckResult:
        """Return whether there are enough answers, or connections, without a peer."""
        if len(lacking) >= ANSWERS_NEEDED:
            return CheckResult(holds=True, measured="", time=lacking[ANSWERS_NEEDED - 1])
        if lacking:
            seen = f"only {count_text(len(lacking), what)} without {peer}, {ANSWERS_NEEDED} are needed"
        elif listing:
            last = self.context.clock.of(listing[-1])
            return CheckResult(holds=False, measured=f"{peer} was still listed at {last:.1f} s", queried=False)
        else:
            seen = _blindness(self.context, self.node) or NOBODY_ASKED
        return CheckResult(holds=False, measured=f"not known of {peer}: {seen}", unreadable=True, waits=True)

    def inspect_command(self) -> str:
        return f"`sighted` of {self.node} in events.jsonl of the record"


class ListedPeersCheck(Check[KnowsCheckPlan]):
    """A check of the most peers that one of a tracker's newest answers lists."""

    def evaluate(self, base: float, until: float = math.inf) -> CheckResult:
        since, latest = self.since(base), self.context.clock.epoch + until
        answers = [one for one in tracker_answers(self.node, _sighted(self.context), since) if one.time <= latest]
        if not answers:
            reason = _blindness(self.context, self.node) or NOBODY_ASKED
            return CheckResult(holds=False, measured=f"not known: {reason}", unreadable=True, waits=True)
        names = sorted(most_listed(answers))
        time = self.context.clock.of(answers[-1].time)
        text, holds = f"lists {describe_peers(names)}", len(names) in self.plan.count
        if not holds:
            text += f", expected {format_interval(self.plan.count)}"
        return CheckResult(holds=holds, measured=f"{text}, {self.format_time(time, base)}", time=time, queried=False)

    def inspect_command(self) -> str:
        return f"`sighted` of {self.node} in events.jsonl of the record"


def _sighted(context: CheckContext) -> list[Event]:
    """Return all datagrams that the observers of all nodes have sighted."""
    return [event for node in context.nodes for event in context.lab_state.events(node, "sighted")]


def _blindness(context: CheckContext, node: str) -> str:
    """Return what a node's observer cannot see; empty where it sees everything."""
    blind = context.lab_state.events(node, "blind")
    return blind[-1].fields.get("reason", "") if blind else ""
