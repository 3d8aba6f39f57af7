"""The pytest plugin with a real lab.

The lab is driven by hand, fails, is left up, is inspected and is taken down.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.integration.helpers import END_S, SCENARIOS, environment, torrentnet

if TYPE_CHECKING:
    from pathlib import Path

TEST = f"""
import pytest

@pytest.mark.torrentnet({str(SCENARIOS / "small.yaml")!r})
def test_a_killed_seeder_is_forgotten(torrentnet_lab):
    lab = torrentnet_lab
    lab.kill("seeder-1")
    lab.wait_event("tracker", "forgotten", peer="seeder-1")
    lab.start("leecher-1")
    lab.wait_event("leecher-1", "state", state="seed")
    assert lab.sha256("leecher-1") == lab.hashes["myfile.txt"]
    assert "seeder-1" in lab.console("tracker", "peers").output, "the tracker has forgotten seeder-1"
"""


def test_a_lab_that_failed_is_left_up(home: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST, encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "torrentnet.lab.pytest_plugin", "--torrentnet-keep", "test_it.py"],
        cwd=tmp_path,
        env=environment(home, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    try:
        assert answer.returncode == 1, answer.stdout
        assert "1 failed" in answer.stdout
        assert "the last lines of tracker" in answer.stdout
        assert "the last lines of seeder-1" in answer.stdout
        assert "torrentnet attach reader" in answer.stdout
        found = json.loads(torrentnet(home, "status", "--json").stdout)
        rows = {row["node"]: row for row in found["nodes"]}
        assert rows["seeder-1"]["state"] == "exited (137)"
        assert (rows["leecher-1"]["doing"], rows["leecher-1"]["progress"]) == ("seed", "16/16")
        assert rows["leecher-2"]["state"] == "created"
        assert (found["faults"], rows["tracker"]["progress"]) == ([], "")
        asked = json.loads(torrentnet(home, "attach", "--json", "tracker", "peers", "--json").stdout)
        assert "leecher-1" in asked["stdout"]
        said = json.loads(torrentnet(home, "logs", "--json", "leecher-1").stdout)["logs"]["leecher-1"]
        assert any(" completed file=myfile.txt " in line["text"] for line in said)
    finally:
        down = torrentnet(home, "down", "--json")
    assert json.loads(down.stdout)["removed"]["scenario"] == "small"
