"""The limit of open files is raised, or named before anything starts."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from torrentnet.lab.errors import LabError
from torrentnet.lab.run.open_files import require_open_files

RAISE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 500))
from torrentnet.lab.run.open_files import require_open_files
require_open_files(100)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_soft_limit_is_raised_as_far_as_the_lab_needs() -> None:
    answer = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True)
    assert answer.stdout == "(264, 500)\n"


def test_a_hard_limit_is_named_with_the_number_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(LabError) as caught:
        require_open_files(34)
    assert caught.value.message == "a lab of 34 nodes needs 132 open files at once, and this process may have 64"
    assert "`ulimit -n 132`" in caught.value.hint
    assert caught.value.exit_code == 3
