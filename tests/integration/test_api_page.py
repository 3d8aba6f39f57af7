"""The examples of the page about the Python API, run."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import END_S, ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = re.findall(
    r"^```python( pytest)?\n(.*?)^```$", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
SCRIPTS = [text for kind, text in BLOCKS if not kind]
(TESTS,) = (text for kind, text in BLOCKS if kind)


def python(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *argv],
        cwd=ROOT,
        env=environment(home, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example(script: str, home: Path) -> None:
    answer = python(home, "-c", script)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout


def test_the_example_with_pytest(home: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    plugin = ("-p", "torrentnet.lab.pytest_plugin", "-p", "no:cacheprovider")
    answer = python(home, "-m", "pytest", *plugin, str(tmp_path / "test_it.py"))
    assert answer.returncode == 0, answer.stdout
    assert "2 passed" in answer.stdout
