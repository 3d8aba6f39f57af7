"""``junit.xml``: the run as continuous integration reads it.

Tested by tests/unit/lab/report/test_result.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from torrentnet.runtime.events import format_timestamp

if TYPE_CHECKING:
    from torrentnet.lab.verdict.outcome import Outcome


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
