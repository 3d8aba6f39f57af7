"""Agreement of docs/api.md with the code: it documents only what exists.

tests/integration/test_api_page.py runs its examples.
"""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from torrentnet.lab.api import Lab, open_lab
from torrentnet.lab.cli import app
from torrentnet.lab.engines.types import ExecResult, NodeState
from torrentnet.lab.paths import files_root
from torrentnet.lab.run.lab_state import LabState, NodeSnapshot

TEXT = (files_root() / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python[^\n]*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ON_INSTANCES = {"nodes", "plan", "directory", "hashes"}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_are_python(block: str) -> None:
    ast.parse(block)


def test_every_documented_call_exists() -> None:
    names = set(re.findall(r"\blab\.([a-z_0-9]+)", TEXT)) - {"open", "lab"}
    assert {"kill", "pause", "impair", "wait_event", "play", "console"} <= names
    assert {name for name in names if not hasattr(Lab, name)} == ON_INSTANCES
    assert {name for name in re.findall(r"lab\.nodes\.([a-z_]+)", TEXT) if not hasattr(LabState, name)} == set()


def test_every_documented_attribute_exists() -> None:
    kinds: dict[str, type] = {"lab.console": ExecResult, "lab.state": NodeState, "lab.nodes.snapshot": NodeSnapshot}
    for call, kind in kinds.items():
        (row,) = re.findall(rf"^\| `{re.escape(call)}\([^|]*\| ([^|]*)\|", TEXT, re.MULTILINE)
        named = re.findall(r"`\.([a-z_]+)`", row)
        assert named
        assert [name for name in named if name not in inspect.get_annotations(kind) and not hasattr(kind, name)] == []


def test_the_arguments_of_open_are_documented() -> None:
    (words,) = re.findall(r"`open\(scenario, \*, ([^)]*)\)`", TEXT)
    named = [word.strip().rstrip("=") for word in words.split(",")]
    assert named == [name for name in inspect.signature(open_lab).parameters if name != "scenario"]


def test_every_documented_command_exists() -> None:
    there = {command.callback.__name__ for command in app.app.registered_commands if command.callback}
    assert set(re.findall(r"^\$ torrentnet ([a-z]+)", TEXT, re.MULTILINE)) <= there
