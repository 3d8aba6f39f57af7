"""Exit statuses are API, and every failure says what is wrong and where to look."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

from tests.integration.helpers import END_S, ROOT, SCENARIOS, environment, torrentnet

if TYPE_CHECKING:
    from pathlib import Path


def test_0_when_everything_holds(home: Path) -> None:
    answer = torrentnet(home, "run", str(SCENARIOS / "quick.yaml"))
    assert answer.returncode == 0, answer.stdout
    assert "1 of 1 expectations hold" in answer.stdout


def test_1_when_an_expectation_fails(home: Path) -> None:
    answer = torrentnet(home, "run", str(SCENARIOS / "disappointed.yaml"))
    assert answer.returncode == 1
    assert "FAIL  seeder is exited at 1s" in answer.stdout
    assert "seeder: running at 1." in answer.stdout
    assert "disappointed.yaml:13:5" in answer.stdout
    assert "the last lines of seeder" in answer.stdout
    assert "published file=myfile.txt" in answer.stdout
    assert "1 of 2 expectations hold" in answer.stdout
    result = json.loads((home / "runs/disappointed/latest/result.json").read_text(encoding="utf-8"))
    assert [one["passed"] for one in result["expectations"]] == [True, False]


def test_1_when_an_event_changes_nothing(home: Path) -> None:
    answer = torrentnet(home, "run", str(SCENARIOS / "in_vain.yaml"))
    assert answer.returncode == 1
    assert "start seeder changed nothing: the node is running" in answer.stdout
    assert "in_vain.yaml:12:5" in answer.stdout
    assert "1 of 1 events changed nothing" in answer.stdout


def test_1_when_the_first_seed_does_not_come_up(home: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "clash.yaml"
    scenario.write_text(
        "about: The same name with pieces of another length is other content, which the tracker refuses.\n"
        "time_limit: 20s\n"
        "files: {a.txt: {size: 1MiB}}\n"
        "nodes:\n"
        "  tracker: {tracker: {}}\n"
        "  one: {share: a.txt, piece_length: 64KiB}\n"
        "  two: {share: a.txt, piece_length: 128KiB}\n",
        encoding="utf-8",
    )
    answer = torrentnet(home, "run", str(scenario))
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert re.search(r"(one|two) ended with status 1 before it was up", answer.stdout)
    assert re.search(r"the last lines of (one|two) ", answer.stdout)
    result = json.loads((home / "runs/clash/latest/result.json").read_text(encoding="utf-8"))
    assert result["verdict"] == "failed"
    assert "ended with status 1" in result["error"]


def test_2_when_there_is_no_such_scenario(home: Path) -> None:
    answer = torrentnet(home, "run", "three_seders")
    assert answer.returncode == 2
    assert "there is no scenario `three_seders`" in answer.stderr
    assert "did you mean `three_seeders`?" in answer.stderr


def test_2_when_the_scenario_is_wrong(home: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("nodes: {tracker: {tracker: {}}}\ntime_limit: 5\n", encoding="utf-8")
    answer = torrentnet(home, "run", str(wrong))
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"{wrong}:2:")


def test_3_when_no_engine_answers(home: Path) -> None:
    answer = torrentnet(
        home, "run", "three_seeders", "--engine", "docker", DOCKER_HOST="unix:///nonexistent/docker.sock"
    )
    assert answer.returncode == 3
    assert "no Docker Engine answers" in answer.stdout + answer.stderr
    assert "unset DOCKER_HOST" in answer.stdout + answer.stderr


def test_json_is_all_of_standard_output(home: Path) -> None:
    answer = torrentnet(home, "run", "--json", str(SCENARIOS / "quick.yaml"))
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["verdict"] == "passed"
    assert "creating 3 nodes" in answer.stderr


def test_make_exits_with_2_for_every_failure(home: Path) -> None:
    for words in (["run", "scenario=nope"], ["run"], ["attach"]):
        answer = subprocess.run(
            ["make", "-C", str(ROOT), *words],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )
        assert answer.returncode == 2, words
        assert "scenario" in answer.stderr or "node" in answer.stderr
