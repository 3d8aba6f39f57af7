"""Scenario files for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.load import load_plan

if TYPE_CHECKING:
    from torrentnet.lab.scenario.plan.plan import Plan

ROOT = Path(__file__).parents[4]
SCENARIOS = ROOT / "scenarios"

HEAD = """\
files:
  myfile.txt: {size: 8MiB}
nodes:
  tracker: {tracker: {keepalive: 500ms, timeout: 2s}}
  seeder: {share: myfile.txt, count: 3}
  leecher: {get: myfile.txt, count: 5, start: 2s, stagger: 200ms}
"""


def load(folder: Path, text: str, name: str = "experiment") -> Plan:
    """Write a scenario file and load it."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return load_plan(path)
