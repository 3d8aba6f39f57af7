"""The records of a run: ``result.json``, ``junit.xml``, and lines of text.

The lines of text state the verdict.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from torrentnet.lab.paths import relative_to_home, write_atomically
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.lab.verdict.outcome import Outcome, Verdict
from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.lab.verdict.outcome import ExpectationResult

SCHEMA: Final = 1
MAX_QUOTED_LINES: Final = 8
"""Last lines of each node that took part in a failure."""
MAX_FAILED_NODES: Final = 3
"""Nodes shown for one failed expectation."""
HEADLINES: Final = {
    Verdict.PASSED: "PASSED",
    Verdict.FAILED: "FAILED",
    Verdict.NOT_JUDGED: "NOT JUDGED",
    Verdict.ERROR: "ERROR, nothing was judged",
    Verdict.INTERRUPTED: "INTERRUPTED",
}
PHASES: Final = {"image": "image", "create": "to create", "start": "to start", "run": "to run"}

# -- for programs ----------------------------------------------------------------------------------


def write_reports(outcome: Outcome) -> None:
    """Write ``result.json`` and ``junit.xml`` into the run's directory.

    Raises OSError.
    """
    text = json.dumps(result_document(outcome), indent=2, ensure_ascii=False) + "\n"
    # The directory is created again if somebody has removed it meanwhile.
    for name, content in (("result.json", text), ("junit.xml", junit_xml(outcome))):
        write_atomically(outcome.directory / name, content)


def result_document(outcome: Outcome) -> dict[str, object]:
    """Return the run as a document for ``result.json``.

    Times are seconds; in the timeline and in answers they count from t = 0.
    """
    plan = outcome.plan
    return {
        "schema": SCHEMA,
        "scenario": plan.name,
        "about": plan.about,
        "verdict": str(outcome.verdict),
        "exit_code": outcome.exit_code,
        "error": outcome.error or None,
        "notes": list(outcome.notes),
        "touched": list(outcome.touched),
        "began": format_timestamp(outcome.began),
        "zero": outcome.zero or None,
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
        "expectations": [_expectation_document(expectation) for expectation in outcome.expectations],
    }


def _expectation_document(expectation: ExpectationResult) -> dict[str, object]:
    return {
        "text": expectation.plan.text,
        "says": expectation.sentence,
        "where": expectation.plan.where,
        "level": str(expectation.plan.severity),
        "passed": expectation.passed,
        "judged": expectation.judged,
        "answers": [
            {
                "node": answer.node,
                "passed": answer.passed,
                "judged": answer.judged,
                "measured": answer.measured,
                "time": None if answer.time is None else round(answer.time, 3),
                "look": answer.inspect,
            }
            for answer in expectation.nodes
        ],
    }


def junit_xml(outcome: Outcome) -> str:
    """Return the run as JUnit's XML.

    There is one test case for each expectation and for each event that changed nothing, and one where there is neither.
    """
    name = outcome.plan.name
    suite = ET.Element(
        "testsuite", name=name, timestamp=format_timestamp(outcome.began), time=f"{outcome.seconds.get('total', 0):.3f}"
    )
    for expectation in outcome.expectations:
        case = ET.SubElement(suite, "testcase", classname=name, name=expectation.plan.text)
        case.set("time", f"{max(0.0, expectation.decisive.time or 0.0):.3f}")
        measured = "\n".join(f"{one.node}: {one.measured}" for one in expectation.nodes if not one.passed)
        own = f"{expectation.sentence}: " if expectation.sentence != expectation.plan.text else ""
        if expectation.failed:
            message = _xml_text(f"{own}{expectation.decisive.measured}")
            ET.SubElement(case, "failure", message=message).text = _xml_text(measured)
        elif not expectation.judged:
            ET.SubElement(case, "skipped", message=_xml_text(f"not judged: {expectation.decisive.measured}"))
        elif expectation.warns:
            # JUnit has no warnings: the case passes, with the warning as its output.
            ET.SubElement(case, "system-out").text = _xml_text(f"warning: {own}{measured}")
    for event in outcome.ineffective:
        case = ET.SubElement(suite, "testcase", classname=name, name=f"{event.text} changes something")
        ET.SubElement(case, "failure", message=_xml_text(event.error)).text = event.where
    if outcome.error:
        case = ET.SubElement(suite, "testcase", classname=name, name="the lab comes up and is judged")
        ET.SubElement(case, "error", message=_xml_text(outcome.error))
    if not len(suite):
        # A report without a case is taken for a mistake by many readers.
        ET.SubElement(suite, "testcase", classname=name, name="the timeline is applied, and nothing else is expected")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml_text(text: str) -> str:
    """Replace the control characters that XML 1.0 cannot hold.

    Nodes may print anything.
    """
    return "".join(char if char >= " " or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


# -- for a person ----------------------------------------------------------------------------------


def verdict_lines(outcome: Outcome, home: Path, hint: str = "") -> Iterator[str]:
    """Yield the verdict as lines of text, the most important line last.

    ``hint`` is the remedy for an error.
    """
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
    for note in outcome.notes:
        yield ""
        yield f"  note: {note}"
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
    if outcome.verdict in {Verdict.PASSED, Verdict.FAILED} and not outcome.error:
        text += f", {held} of {total} expectations hold" if total else ", nothing was expected"
        if warned:
            text += f", {warned} only warn{'s' if warned == 1 else ''}"
        if outcome.ineffective:
            text += f", {len(outcome.ineffective)} of {len(outcome.plan.events)} events changed nothing"
    times = [f"{outcome.seconds[name]:.1f} s {what}" for name, what in PHASES.items() if name in outcome.seconds]
    return f"{text} ({', '.join(times)})" if times else text


def _expectation_lines(expectation: ExpectationResult) -> Iterator[str]:
    word = "ok  " if expectation.passed else "WARN" if expectation.warns else "FAIL" if expectation.judged else "LOST"
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
