"""The run for programs: ``result.json``, and ``junit.xml`` for continuous integration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from torrentnet.lab.verdict.outcome import ExpectationResult, NodeResult, Outcome

SCHEMA: Final = 1


def write_reports(outcome: Outcome) -> None:
    """Write ``result.json`` and ``junit.xml`` into the run's directory."""
    text = json.dumps(result_document(outcome), indent=2, ensure_ascii=False) + "\n"
    (outcome.directory / "result.json").write_text(text, encoding="utf-8")
    (outcome.directory / "junit.xml").write_text(junit_xml(outcome), encoding="utf-8")


def result_document(outcome: Outcome) -> dict[str, object]:
    """Return the run for ``result.json``. Times are seconds; in the timeline and in answers they count from t = 0."""
    plan = outcome.plan
    return {
        "schema": SCHEMA,
        "scenario": plan.name,
        "about": plan.about,
        "verdict": str(outcome.verdict),
        "exit_code": outcome.exit_code,
        "error": outcome.error or None,
        "began": format_timestamp(outcome.began),
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
        "answers": [_node_document(answer) for answer in expectation.nodes],
    }


def _node_document(answer: NodeResult) -> dict[str, object]:
    return {
        "node": answer.node,
        "passed": answer.passed,
        "measured": answer.measured,
        "time": None if answer.time is None else round(answer.time, 3),
        "look": answer.inspect,
    }


def junit_xml(outcome: Outcome) -> str:
    """Return the run as JUnit's XML: one test case for each expectation and each event that changed nothing."""
    name = outcome.plan.name
    suite = ET.Element(
        "testsuite", name=name, timestamp=format_timestamp(outcome.began), time=f"{outcome.seconds.get('total', 0):.3f}"
    )
    failures = 0
    for expectation in outcome.expectations:
        case = ET.SubElement(suite, "testcase", classname=name, name=expectation.plan.text)
        case.set("time", f"{max(0.0, expectation.decisive.time or 0.0):.3f}")
        measured = "\n".join(f"{one.node}: {one.measured}" for one in expectation.nodes if not one.passed)
        own = f"{expectation.sentence}: " if expectation.sentence != expectation.plan.text else ""
        if expectation.failed:
            failures += 1
            message = f"{own}{expectation.decisive.measured}"
            ET.SubElement(case, "failure", message=_xml_text(message)).text = _xml_text(measured)
        elif expectation.warns:
            # JUnit has no warnings: the case passes, with the warning as its output.
            ET.SubElement(case, "system-out").text = _xml_text(f"warning: {own}{measured}")
    for event in outcome.ineffective:
        failures += 1
        case = ET.SubElement(suite, "testcase", classname=name, name=f"{event.text} changes something")
        ET.SubElement(case, "failure", message=_xml_text(event.error)).text = event.where
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
    """Replace the control characters that XML 1.0 cannot hold: nodes may print anything."""
    return "".join(char if char >= " " or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
