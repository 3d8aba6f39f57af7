from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.unit.lab.scenario.language.models.schema_check import fits
from tests.unit.lab.scenario.scenario_files import HEAD, ROOT, SCENARIOS
from tests.unit.lab.scenario.test_reference import PARTS
from torrentnet.lab.scenario.language.models.schema import schema_text

FILE = ROOT / "docs" / "scenario.schema.json"
SCHEMA: dict[str, Any] = json.loads(schema_text())


def accepted(text: str) -> bool:
    """Return whether an editor that uses the schema would accept the text.

    An editor types scalars as YAML 1.2 does, unlike our parser.
    """
    return fits(yaml.safe_load(text), SCHEMA, SCHEMA)


def test_the_schema_file_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), (
        "write it anew: python -m torrentnet.lab.scenario.language.models.schema > docs/scenario.schema.json"
    )


def test_the_module_prints_the_schema() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "torrentnet.lab.scenario.language.models.schema"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert made.stdout.decode() == schema_text()


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_our_scenarios_fit_the_schema(path: Any) -> None:
    assert accepted(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", PARTS)
def test_every_example_of_the_reference_fits_the_schema(part: str) -> None:
    assert fits({"nodes": {}} | yaml.safe_load(part), SCHEMA, SCHEMA)


def test_the_schema_allows_parameters_as_values() -> None:
    assert accepted(
        HEAD + "  more: {get: a, count: $many, start: $late, upload: $rate}\nlinks: [{between: all, loss: $x}]\n"
    )
    assert not accepted(HEAD + "  more: {get: a, count: many}\n")


def test_a_validator_of_draft_07_agrees() -> None:
    """Another reader of the schema than our own few lines, where there is one."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft7Validator(SCHEMA)
    for path in SCENARIOS.glob("*.yaml"):
        assert list(validator.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))) == []
    assert not validator.is_valid(yaml.safe_load(HEAD + "timeline: [{at: 5s, impair: {loss: 5%}, for: 5s}]\n"))


@pytest.mark.parametrize(
    "text",
    [
        "sed: 7\n" + HEAD,
        "time_limit: 60\n" + HEAD,
        "time_limit: 60 s\n" + HEAD,
        "seed: seven\n" + HEAD,
        "about: x\n",
        HEAD + "  more: {count: 3}\n",
        HEAD + "  more: {share: a, get: a}\n",
        HEAD + "  more: {share: a, give_up: 5s}\n",
        HEAD + "  more: {get: a, strategy: rarest}\n",
        HEAD + "  more: {get: a, count: 0}\n",
        HEAD + "timeline: {at: 5s, kill: leecher}\n",
        HEAD + "timeline: [{kill: leecher}]\n",
        HEAD + "timeline: [{at: 5s}]\n",
        HEAD + "timeline: [{at: 5s, kill: leecher, stop: seeder}]\n",
        HEAD + "timeline: [{at: 5s, kill: leecher, for: 5s}]\n",
        HEAD + "timeline: [{at: 5s, partition: [[seeder], [leecher]]}]\n",
        HEAD + "timeline: [{at: 5s, kill: }]\n",
        HEAD + "timeline: [{at: 5s, when: leecher is seed, kill: seeder}]\n",
        HEAD + "timeline: [{at: 5s, isolate: {}, for: 5s}]\n",
        HEAD + "timeline: [{at: 5s, impair: {between: all}, for: 5s}]\n",
        HEAD + "timeline: [{at: 5s, impair: {loss: 5%}, for: 5s}]\n",
        HEAD + "timeline: [{at: 5s, impair: {between: all, loss: 0.05}, for: 5s}]\n",
        HEAD + "timeline: [{at: 5s, partition: [[seeder]], for: 5s}]\n",
        HEAD + "timeline: [{at: 5s, run: ls}]\n",
        HEAD + "links: [{between: all}]\n",
        HEAD + "links: [{between: all, loss: 5}]\n",
        HEAD + "expect: [{node: leecher, exit: 256}]\n",
        HEAD + "expect: [{node: tracker, knows: many}]\n",
        HEAD + "expect: [{node: leecher, bytes: {received: at most 5}, at: 5s}]\n",
        HEAD + "expect: [{node: leecher, has: myfile.txt, level: error}]\n",
        HEAD + "expect: [{has: myfile.txt}]\n",
        HEAD + "expect: [{node: leecher, becomes: leecher}]\n",
        HEAD + "expect: [{node: leecher, state: dead, at: 5s}]\n",
        HEAD + "expect: [{node: leecher, has: myfile.txt, contains: x}]\n",
    ],
)
def test_the_schema_rejects_what_the_parser_rejects(text: str) -> None:
    assert accepted(HEAD)
    assert not accepted(text)
