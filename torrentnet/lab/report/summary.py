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

    from torrentnet.lab.verdict.expectation import ExpectationResult

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
    if outcome.judgements:
        yield ""
        for judgement in outcome.judgements:
            yield from _expectation_lines(judgement)
    for event in outcome.in_vain:
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
    held = sum(judgement.passed for judgement in outcome.judgements)
    warned = sum(judgement.warns for judgement in outcome.judgements)
    total = len(outcome.plan.expectations)
    text = HEADLINES[outcome.verdict]
    if outcome.verdict in {Verdict.PASS, Verdict.FAIL} and not outcome.error:
        text += f", {held} of {total} expectations hold" if total else ", nothing was expected"
        if warned:
            text += f", {warned} only warn{'s' if warned == 1 else ''}"
        if outcome.in_vain:
            text += f", {len(outcome.in_vain)} of {len(outcome.plan.events)} events changed nothing"
    times = [f"{outcome.seconds[name]:.1f} s {what}" for name, what in PHASES if name in outcome.seconds]
    return f"{text} ({', '.join(times)})" if times else text


def _expectation_lines(judgement: ExpectationResult) -> Iterator[str]:
    word = "ok  " if judgement.passed else "WARN" if judgement.warns else "FAIL"
    yield f"  {word}  {judgement.sentence}"
    if judgement.passed:
        telling = judgement.telling
        last = "" if len(judgement.answers) == 1 else f"{telling.node} last: "
        yield f"        {last}{telling.measured}"
        return
    failed = [answer for answer in judgement.answers if not answer.passed]
    for answer in failed[:MAX_FAILED_NODES]:
        yield f"        {answer.node}: {answer.measured}"
    if len(failed) > MAX_FAILED_NODES:
        yield f"        and {len(failed) - MAX_FAILED_NODES} more nodes"
    if judgement.sentence != judgement.plan.text:
        yield f"        expected: {judgement.plan.text}"
    yield f"        expected in {judgement.plan.where}; to inspect: {judgement.telling.look}"
