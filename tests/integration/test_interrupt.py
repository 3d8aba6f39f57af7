"""Interrupted labs, which must leave nothing behind.

Nothing outlives a lab: not after Ctrl-C at any moment, and not after a kill -9 and the next start.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import DOCKER, LOCAL, LOOPBACK, leaves_a_dead_lab, on_all
from tests.integration.helpers import SCENARIOS, Running, torrentnet, wait

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines import Kind

LONG = str(SCENARIOS / "long.yaml")
QUICK = str(SCENARIOS / "quick.yaml")
CREATING = "creating 5 nodes"
STARTED = "start leecher-1"
DOWNLOADED = "completed myfile.txt"


@on_all
@pytest.mark.parametrize("mode", ["run", "up"])
@pytest.mark.parametrize("moment", ["long: ", CREATING, STARTED, DOWNLOADED])
def test_ctrl_c_cleans_up(home: Path, engine: Kind, mode: str, moment: str) -> None:
    with Running(home, mode, LONG) as lab:
        lab.wait_line(moment)
        lab.signal(signal.SIGINT)
        assert lab.wait() == 130, lab.text
    assert "Traceback" not in lab.text
    assert not engine.left_over(home)


def test_sigterm_cleans_up_too(home: Path, engine: Kind) -> None:
    with Running(home, "run", LONG) as lab:
        lab.wait_line(STARTED)
        lab.signal(signal.SIGTERM)
        assert lab.wait() == 130, lab.text
    assert not engine.left_over(home)


def test_a_second_ctrl_c_does_not_break_the_clean_up(home: Path, engine: Kind) -> None:
    with Running(home, "run", LONG) as lab:
        lab.wait_line(STARTED)
        lab.signal(signal.SIGINT)
        lab.wait_line("removing the lab")
        lab.signal(signal.SIGINT)
        lab.signal(signal.SIGINT)
        assert lab.wait() == 130, lab.text
    assert "Traceback" not in lab.text
    assert not engine.left_over(home)


@leaves_a_dead_lab(DOCKER, LOCAL, LOOPBACK)
@pytest.mark.parametrize("mode", ["run", "up"])
@pytest.mark.parametrize("moment", [CREATING, DOWNLOADED])
def test_the_next_start_removes_what_kill_9_left(home: Path, engine: Kind, mode: str, moment: str) -> None:
    with Running(home, mode, LONG) as lab:
        lab.wait_line(moment)
        lab.signal(signal.SIGKILL)
        assert lab.wait() == -signal.SIGKILL
    if moment == DOWNLOADED:
        assert engine.left_over(home)
    answer = torrentnet(home, "run", QUICK)
    assert answer.returncode == 0, answer.stdout
    if moment == DOWNLOADED:
        assert "removed what torrentnet-long-" in answer.stdout
    # A container that Compose was just making when it lost its parent comes to light a moment later.
    if engine.left_over(home):
        torrentnet(home, "down")
    assert wait(lambda: not engine.left_over(home))


def test_a_lab_that_is_up_is_left_alone(home: Path, tmp_path: Path, engine: Kind) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    try:
        assert torrentnet(home, "up", QUICK).returncode == 0
        assert torrentnet(elsewhere, "run", QUICK).returncode == 0
        rows = json.loads(torrentnet(home, "status", "--json").stdout)["nodes"]
        assert {row["node"]: row["state"] for row in rows} == dict.fromkeys(("tracker", "seeder", "leecher"), "running")
    finally:
        down = torrentnet(home, "down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not engine.left_over(elsewhere)
