"""The verdict: for a person to read, and as ``result.json`` and ``junit.xml`` for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from torrentnet.lab.events import show_time
from torrentnet.lab.scenario.plan import Role
from torrentnet.lab.verdict.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.lab.verdict.expectation import ExpectationResult, NodeResult

SCHEMA = 1
MAX_QUOTED_LINES = 8
"""Of each node that something was wrong with."""
MAX_FAILED_NODES = 3
"""Of those that an expectation failed for."""
HEADLINES = {
    Verdict.PASS: "PASSED",
    Verdict.FAIL: "FAILED",
    Verdict.ERROR: "NOT JUDGED: the engine failed",
    Verdict.INTERRUPTED: "INTERRUPTED",
}

# ── for a person ─────────────────────────────────────────────────────────────────────────────────────────────


def verdict_lines(outcome: Outcome, home: Path, hint: str = "") -> Iterator[str]:
    """The verdict as lines of text, the most important last; ``hint`` says what to do about an error."""
    if outcome.judgements:
        yield ""
        for judgement in outcome.judgements:
            yield from _expectation_lines(judgement)
    for applied in outcome.in_vain:
        yield f"  FAIL  {applied.text} at {applied.planned:g} s ({applied.where})"
        yield f"        {applied.error}"
        if applied.hint:
            yield f"        {applied.hint}"
    if outcome.error:
        yield ""
        yield f"  {outcome.error}"
        if hint:
            yield f"      {hint}"
    for node, lines in outcome.last_lines.items():
        yield ""
        yield f"  the last lines of {node} (all of them: {_relative(outcome.directory, home)}/logs/{node}.log)"
        for line in lines[-MAX_QUOTED_LINES:]:
            yield f"    {line}"
    yield ""
    yield f"{outcome.plan.name}: {headline(outcome)}"
    yield f"record: {_relative(outcome.directory, home)}"


def headline(outcome: Outcome) -> str:
    """The verdict in one line."""
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


PHASES = (("image", "image"), ("create", "to create"), ("start", "to start"), ("run", "to run"))


def _expectation_lines(judgement: ExpectationResult) -> Iterator[str]:
    telling = judgement.telling
    word = "ok  " if judgement.passed else "WARN" if judgement.warns else "FAIL"
    yield f"  {word}  {judgement.sentence}"
    own = judgement.sentence != judgement.plan.text
    if judgement.passed:
        last = "" if len(judgement.answers) == 1 else f"{telling.node} last: "
        yield f"        {last}{telling.measured}"
        return
    failed = [answer for answer in judgement.answers if not answer.passed]
    for answer in failed[:MAX_FAILED_NODES]:
        yield f"        {answer.node}: {answer.measured}"
    if len(failed) > MAX_FAILED_NODES:
        yield f"        and {len(failed) - MAX_FAILED_NODES} more nodes"
    if own:
        yield f"        expected: {judgement.plan.text}"
    yield f"        expected in {judgement.plan.where}; to look: {telling.look}"


def _relative(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


# ── for programs ─────────────────────────────────────────────────────────────────────────────────────────────


def result_document(outcome: Outcome) -> dict[str, object]:
    """The run as ``result.json`` has it. Times are seconds; in the timeline and in answers they count from t = 0."""
    plan = outcome.plan
    return {
        "schema": SCHEMA,
        "scenario": plan.name,
        "about": plan.about,
        "verdict": str(outcome.verdict),
        "exit_code": outcome.exit_code,
        "error": outcome.error or None,
        "began": show_time(outcome.began),
        "seconds": {name: round(value, 3) for name, value in outcome.seconds.items()},
        "seed": plan.seed,
        "parameters": dict(plan.parameters),
        "time_limit": plan.time_limit,
        "project": outcome.project,
        "environment": outcome.environment,
        "files": [{"name": file.name, "sha256": outcome.hashes.get(file.name)} for file in plan.files],
        "nodes": [
            {
                "name": node.name,
                "role": str(node.role),
                "address": outcome.addresses.get(node.name),
                "file": node.file if node.role is not Role.TRACKER else None,
                "start": node.start,
            }
            for node in plan.nodes
        ],
        "timeline": [applied.row() for applied in outcome.timeline],
        "expectations": [_expectation_document(judgement) for judgement in outcome.judgements],
    }


def _expectation_document(judgement: ExpectationResult) -> dict[str, object]:
    return {
        "text": judgement.plan.text,
        "says": judgement.sentence,
        "where": judgement.plan.where,
        "level": str(judgement.plan.severity),
        "passed": judgement.passed,
        "answers": [_node_document(answer) for answer in judgement.answers],
    }


def _node_document(answer: NodeResult) -> dict[str, object]:
    return {
        "node": answer.node,
        "passed": answer.passed,
        "measured": answer.measured,
        "time": None if answer.time is None else round(answer.time, 3),
        "look": answer.look,
    }


def junit_xml(outcome: Outcome) -> str:
    """The run as JUnit's XML: a test case an expectation, and one for each event that changed nothing."""
    name = outcome.plan.name
    suite = ET.Element(
        "testsuite", name=name, timestamp=show_time(outcome.began), time=f"{outcome.seconds.get('total', 0):.3f}"
    )
    failures = 0
    for judgement in outcome.judgements:
        case = ET.SubElement(suite, "testcase", classname=name, name=judgement.plan.text)
        case.set("time", f"{max(0.0, judgement.telling.time or 0.0):.3f}")
        measured = "\n".join(f"{one.node}: {one.measured}" for one in judgement.answers if not one.passed)
        own = f"{judgement.sentence}: " if judgement.sentence != judgement.plan.text else ""
        if judgement.failed:
            failures += 1
            message = f"{own}{judgement.telling.measured}"
            ET.SubElement(case, "failure", message=_xml_text(message)).text = _xml_text(measured)
        elif judgement.warns:
            # JUnit's format has no warning: the case passes, and says so in its output.
            ET.SubElement(case, "system-out").text = _xml_text(f"warning: {own}{measured}")
    for applied in outcome.in_vain:
        failures += 1
        case = ET.SubElement(suite, "testcase", classname=name, name=f"{applied.text} changes something")
        ET.SubElement(case, "failure", message=_xml_text(applied.error)).text = applied.where
    errors = 0
    if outcome.error:
        errors = 1
        case = ET.SubElement(suite, "testcase", classname=name, name="the lab comes up and is judged")
        ET.SubElement(case, "error", message=_xml_text(outcome.error))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("errors", str(errors))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml_text(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold (a node may print anything)."""
    return "".join(char if char >= " " or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def write_reports(outcome: Outcome) -> None:
    """Leave ``result.json`` and ``junit.xml`` in the run's directory."""
    text = json.dumps(result_document(outcome), indent=2, ensure_ascii=False) + "\n"
    (outcome.directory / "result.json").write_text(text, encoding="utf-8")
    (outcome.directory / "junit.xml").write_text(junit_xml(outcome), encoding="utf-8")
