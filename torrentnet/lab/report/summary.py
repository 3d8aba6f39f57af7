"""The verdict as lines of text for a person.

Tested by tests/unit/lab/report/test_result.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.paths import relative_to_home
from torrentnet.lab.verdict.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.lab.verdict.outcome import ExpectationResult

MAX_QUOTED_LINES: Final = 8
"""Last lines of each node that took part in a failure."""
MAX_FAILED_NODES: Final = 3
"""Nodes shown for one failed expectation."""
HEADLINES: Final = {
    Verdict.PASS: "PASSED",
    Verdict.FAIL: "FAILED",
    Verdict.ERROR: "NOT JUDGED: the engine failed",
    Verdict.INTERRUPTED: "INTERRUPTED",
}
PHASES: Final = (("image", "image"), ("create", "to create"), ("start", "to start"), ("run", "to run"))


def verdict_lines(outcome: Outcome, home: Path, hint: str = "") -> Iterator[str]:
    """Yield the verdict, the most important line last; ``hint`` says what to do about an error."""
    record = relative_to_home(outcome.directory, home)
    if outcome.expectations:
        yield ""
        for expectation in outcome.expectations:
            yield from _expectation_lines(expectation)
    for event in outcome.ineffective:
        yield f"  FAIL  {event.text} at {event.planned:g} s ({event.where})"
        yield f"        {event.error}"
        if event.hint:
            yield f"        {event.hint}"
    if outcome.error:
        yield ""
        yield f"  {outcome.error}"
        if hint:
            yield f"      {hint}"
    for node, lines in outcome.last_lines.items():
        yield ""
        yield f"  the last lines of {node} (all lines: {record}/logs/{node}.log)"
        for line in lines[-MAX_QUOTED_LINES:]:
            yield f"    {line}"
    yield ""
    yield f"{outcome.plan.name}: {headline(outcome)}"
    yield f"record: {record}"


def headline(outcome: Outcome) -> str:
    """Return the verdict in one line."""
    held = sum(expectation.passed for expectation in outcome.expectations)
    warned = sum(expectation.warns for expectation in outcome.expectations)
    total = len(outcome.plan.expectations)
    text = HEADLINES[outcome.verdict]
    if outcome.verdict in {Verdict.PASS, Verdict.FAIL} and not outcome.error:
        text += f", {held} of {total} expectations hold" if total else ", nothing was expected"
        if warned:
            text += f", {warned} only warn{'s' if warned == 1 else ''}"
        if outcome.ineffective:
            text += f", {len(outcome.ineffective)} of {len(outcome.plan.events)} events changed nothing"
    times = [f"{outcome.seconds[name]:.1f} s {what}" for name, what in PHASES if name in outcome.seconds]
    return f"{text} ({', '.join(times)})" if times else text


def _expectation_lines(expectation: ExpectationResult) -> Iterator[str]:
    word = "ok  " if expectation.passed else "WARN" if expectation.warns else "FAIL"
    yield f"  {word}  {expectation.sentence}"
    if expectation.passed:
        decisive = expectation.decisive
        last = "" if len(expectation.nodes) == 1 else f"{decisive.node} last: "
        yield f"        {last}{decisive.measured}"
        return
    failed = [node for node in expectation.nodes if not node.passed]
    for node in failed[:MAX_FAILED_NODES]:
        yield f"        {node.node}: {node.measured}"
    if len(failed) > MAX_FAILED_NODES:
        yield f"        and {len(failed) - MAX_FAILED_NODES} more nodes"
    if expectation.sentence != expectation.plan.text:
        yield f"        expected: {expectation.plan.text}"
    yield f"        expected in {expectation.plan.where}; to inspect: {expectation.decisive.inspect}"
