"""``result.json``: the run for programs; and the writing of both reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from torrentnet.lab.report.junit import junit_xml
from torrentnet.lab.scenario.plan import Role
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
