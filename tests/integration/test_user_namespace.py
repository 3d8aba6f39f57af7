"""Faults with the engine local for an ordinary user.

The user is root in a user namespace only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import LOCAL, Kind, on
from tests.integration.helpers import END_S, ROOT, SCENARIOS, command, environment
from tests.unit.lab.capture.pcapng_reader import read_pcapng
from torrentnet.lab import paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = on(LOCAL)
ENTER = ["unshare", "--user", "--map-root-user"]
"""In the namespace, capabilities apply to nothing that belongs to the machine itself."""
TESTS = "local and not test_delays and (test_delay or test_partition or corruption or without_the_shaper)"


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry of its own for labs that are created in the user namespace."""
    entered = subprocess.run([*ENTER, "true"], capture_output=True, text=True, check=False)
    if entered.returncode != 0:
        pytest.skip(f"needs user namespaces: {entered.stderr.strip()}")
    place = f"/tmp/tu-{os.getpid()}"
    monkeypatch.setenv(paths.RUNTIME_VARIABLE, place)
    yield
    shutil.rmtree(place, ignore_errors=True)


DELAYED = """\
links:
  - {to: leecher, delay: 20ms, loss: 1%, rate: 20mbit}
"""


def test_a_lab_with_faults_of_every_kind(home: Path, engine: Kind) -> None:
    scenario = home / "runs" / "delayed.yaml"
    scenario.parent.mkdir()
    scenario.write_text((SCENARIOS / "quick.yaml").read_text(encoding="utf-8") + DELAYED, encoding="utf-8")
    answer = subprocess.run(
        [*ENTER, *command("run", str(scenario), "--capture")],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "delayed: PASSED" in answer.stdout
    (path,) = home.glob("runs/delayed/2*/capture.pcapng")
    marks = {text for packet in read_pcapng(path.read_bytes()).packets for text in packet.comments}
    assert "may have been lost on arrival at leecher (1 %)" in marks


@pytest.mark.alone
def test_packets_meet_the_requested_qualities(home: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TESTS]
    answer = subprocess.run(
        [
            *ENTER,
            *words,
            "tests/integration/test_network_calibration.py",
            "tests/integration/test_shaper_calibration.py",
        ],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    print(answer.stdout)
    assert answer.returncode == 0
    assert "5 passed" in answer.stdout
