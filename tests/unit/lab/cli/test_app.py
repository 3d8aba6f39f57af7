"""The command line: its messages for wrong use, and its exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from tests.unit.lab.cli.call import call
from torrentnet.lab.cli.app import app
from torrentnet.lab.home import RunningLab, write_running_lab
from torrentnet.lab.paths import files_root, scenarios_folder
from torrentnet.lab.scenario.load import parse_settings

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [command.callback.__name__ for command in app.registered_commands if command.callback]
NOWHERE = "unix:///nonexistent/docker.sock"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    monkeypatch.setenv("TORRENTNET_ENGINE", "docker")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    return call(capsys, argv)


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("no_command", ["frobnicate"], 2),
        ("no_scenario_given", ["run"], 2),
        ("no_option", ["run", "--frobnicate", "x"], 2),
        ("unknown_scenario", ["run", "three_seders"], 2),
        ("unknown_scenario_like_none", ["up", "zzzzzz"], 2),
        ("missing_file", ["run", "nowhere/x.yaml"], 2),
        ("unknown_engine", ["run", "three_seeders", "--engine", "podman"], 2),
        ("no_engine_answers", ["run", "three_seeders"], 3),
        ("status_without_a_lab", ["status"], 2),
        ("attach_without_a_lab", ["attach", "tracker"], 2),
        ("logs_without_a_lab", ["logs"], 2),
        ("ui_without_a_lab", ["ui", "--no-open"], 2),
        ("down_without_an_engine", ["down"], 3),
        ("wrong_scenario", ["run", "wrong.yaml"], 2),
        ("set_nothing", ["run", "three_seeders", "--set", "leechers"], 2),
        ("set_twice", ["run", "three_seeders", "--set", "leechers=5", "--set", "leechers=6"], 2),
        ("set_unknown", ["validate", "plain.yaml", "--set", "leechers=5"], 2),
        ("sweep_without_a_grid", ["sweep", "textbook"], 2),
        ("sweep_grid_without_values", ["sweep", "textbook", "--grid", "leechers="], 2),
        ("sweep_grid_twice", ["sweep", "textbook", "--grid", "leechers=1", "--grid", "leechers=2"], 2),
        ("sweep_value_twice", ["sweep", "textbook", "--grid", "leechers=1,2,1"], 2),
        ("sweep_grid_and_set", ["sweep", "textbook", "--grid", "leechers=1", "--set", "leechers=2"], 2),
        ("sweep_too_many", ["sweep", "textbook", "--grid", "leechers=" + ",".join(map(str, range(1, 1002)))], 2),
        ("sweep_unknown_parameter", ["sweep", "columns.yaml", "--grid", "rum=1,2"], 2),
        ("sweep_repeat", ["sweep", "textbook", "--grid", "leechers=1", "--repeat", "0"], 2),
        ("sweep_column", ["sweep", "columns.yaml", "--grid", "run=1,2"], 2),
        ("sweep_without_an_engine", ["sweep", "textbook", "--grid", "leechers=1,2"], 3),
        ("watch_as_json", ["status", "--watch", "--json"], 2),
        ("follow_as_json", ["logs", "--follow", "--json"], 2),
        ("prompt_as_json", ["attach", "--json", "tracker"], 2),
    ],
)
def test_wrong_use_is_explained(
    name: str, words: list[str], code: int, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "wrong.yaml").write_text("time_limit: 5\nnodes: {tracker: {tracker: {}}}\nexpct: []\n", encoding="utf-8")
    (home / "plain.yaml").write_text("nodes: {tracker: {tracker: {}}}\n", encoding="utf-8")
    (home / "columns.yaml").write_text(
        "about: $run\nparameters: {run: 1}\nnodes: {tracker: {tracker: {}}}\n", encoding="utf-8"
    )
    status, out, err = run(capsys, *words)
    assert status == code
    golden.check(f"error_{name}.txt", err or out)


def test_help_lists_every_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    golden.check("help.txt", out)


def test_every_command_has_help(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        status, out, err = run(capsys, name, "--help")
        assert (status, err) == (0, "")
        assert f"Usage: torrentnet {name}" in out
        assert "--json" in out


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["run", "three_seders"], 2, "there is no scenario `three_seders`"),
        (["up", "three_seeders"], 3, "no Docker Engine answers"),
        (["status"], 2, "no lab is up here"),
        (["attach", "tracker", "status"], 2, "no lab is up here"),
        (["logs"], 2, "no lab is up here"),
        (["down"], 3, "no Docker Engine answers"),
        (["image"], 3, "no Docker Engine answers"),
    ],
)
def test_a_failure_is_a_json_document(
    words: list[str], code: int, error: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, words[0], "--json", *words[1:])
    assert status == code
    document = json.loads(out)
    assert error in document["error"]
    assert error in err
    assert (document["exit_code"], bool(document["hint"])) == (code, True)
    # What one command wants does not stay for the next.
    assert "{" not in run(capsys, *words)[1]


def test_the_problems_of_a_scenario_are_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "wrong.yaml").write_text("time_limit: 5\nnodes: {tracker: {tracker: {}}}\n", encoding="utf-8")
    status, out, _ = run(capsys, "run", "wrong.yaml", "--json")
    assert status == 2
    assert [problem["line"] for problem in json.loads(out)["problems"]] == [1]


def test_version_is_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--version")
    assert status == 0
    assert out.startswith("torrentnet 0.")


def test_scenarios_are_listed_with_their_about_lines(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "scenarios")
    assert any(line.startswith("three_seeders ") and "leechers" in line for line in out.splitlines())
    _, out, _ = run(capsys, "scenarios", "--json")
    assert "three_seeders" in {row["name"] for row in json.loads(out)}


def test_validate_shows_every_problem(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(scenarios_folder() / "three_seeders.yaml")
    (home / "wrong.yaml").write_text("nodes: {}\n", encoding="utf-8")
    status, out, _ = run(capsys, "validate", good)
    assert (status, out.count("\n")) == (0, 1)
    status, out, _ = run(capsys, "validate", good, "wrong.yaml")
    assert status == 2
    assert "wrong.yaml:1:1" in out
    status, out, _ = run(capsys, "validate", "--json", good, "wrong.yaml")
    assert status == 2
    assert [row["valid"] for row in json.loads(out)] == [True, False]


LINKS = """\
about: A slow link that is cut for a while.
nodes:
  tracker: {tracker: {}}
  peer: {share: a.txt}
files: {a.txt: {size: 1KiB}}
links: [{between: all, rate: 8mbit}]
timeline: [{at: 2s, isolate: peer, for: 3s}]
"""


def test_explain_works_without_an_engine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "links.yaml").write_text(LINKS, encoding="utf-8")
    status, out, err = run(capsys, "explain", "links.yaml")
    assert (status, err) == (0, "")
    assert "docker compose exec -T --privileged" in out
    assert "rate 8" in out
    assert "iptables-restore" in out
    assert out.splitlines()[-2].startswith(f"no Docker Engine answers at {NOWHERE}")
    assert out.splitlines()[-1] == "The commands are those of a kernel that can do all of it (netem)."
    status, shown, _ = run(capsys, "explain", "links.yaml", "--json", "--all")
    document = json.loads(shown)
    assert (status, document["scenario"]) == (0, "links")
    assert set(out.splitlines()[:-3]) <= set(document["lines"])


def test_explain_needs_no_engine_where_no_network_is_set(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "explain", "three_seeders")
    assert (status, err) == (0, "")
    assert "docker compose kill --signal SIGKILL seeder-1" in out
    assert "no Docker Engine" not in out


def test_doctor_names_what_is_missing_and_the_remedy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "doctor")
    assert status == 3
    assert "--   Docker Engine" in out
    assert "unset DOCKER_HOST" in out
    status, out, _ = run(capsys, "doctor", "--json")
    assert status == 3
    assert {row["what"]: row["ok"] for row in json.loads(out)}["Docker Engine"] is False


def test_a_missing_docker_command_is_explained(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    status, _, err = run(capsys, "run", "three_seeders")
    assert status == 3
    golden.check("error_no_docker_command.txt", err)


def test_a_running_lab_without_its_engine_is_explained(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_running_lab(home, RunningLab("torrentnet-x-abc123", "x", "docker", "/record"))
    status, _, err = run(capsys, "status")
    assert status == 3
    assert "no Docker Engine answers" in err


def test_nothing_is_written_where_there_is_no_engine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "run", "three_seeders")
    assert not list(home.iterdir())


def test_a_closed_pipe_is_no_traceback(home: Path) -> None:
    command = f"{sys.executable} -W error -m torrentnet.lab scenarios | head -n 1"
    answer = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=files_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stderr == ""
    assert answer.stdout.count("\n") == 1


def test_settings_are_parsed() -> None:
    assert parse_settings(["leechers=50", "file=a b.txt", " loss = 5% "]) == {
        "leechers": "50",
        "file": "a b.txt",
        "loss": "5%",
    }


# -- programs that are not ours --------------------------------------------------------------------


@pytest.fixture
def submission(home: Path) -> Path:
    folder = home / "submission"
    (folder / "src").mkdir(parents=True)
    for name in ("tracker.py", "peer.py"):
        (folder / "src" / name).write_text("print()\n", encoding="utf-8")
    return folder


def test_inspect_shows_what_is_found(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "inspect", "submission")
    assert (status, err) == (0, "")
    golden.check("inspect.txt", out)
    assert all(len(line) <= 80 for line in out.splitlines())


def test_inspect_shows_what_torrentnet_yaml_says(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (submission / "torrentnet.yaml").write_text(
        "image: eclipse-temurin:21\nbuild: |\n  mkdir out\n  javac -d out Peer.java\nfiles: tmp\n"
        "says: {request logs: all logs}\nget: java -cp out Peer get {file} {tracker} {listen}\nready: 20s\n"
        "run: java -cp out Any {args}\naddresses: real\nspeaks: bittorrent\n",
        encoding="utf-8",
    )
    status, out, _ = run(capsys, "inspect", "submission")
    assert status == 0
    golden.check("inspect_torrentnet_yaml.txt", out)


def test_inspect_says_what_is_missing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "tracker.js").write_text("", encoding="utf-8")
    status, out, _ = run(capsys, "inspect", ".")
    assert status == 0
    assert out.endswith(
        "\n`node` is not in the lab's own image: write `image: NAME` into a torrentnet.yaml beside the program\n"
        "\nit has no command line for `share`, `get`\n"
    )


def test_inspect_as_json(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "inspect", "submission", "--json")
    document = json.loads(out)
    assert status == 0
    assert document["commands"]["tracker"] == "python3 tracker.py {ip}:{port}"
    assert document["examples"]["tracker"] == ["python3", "tracker.py", "127.0.0.1:6969"]
    assert (document["files"], document["bytes"], document["addresses"]) == (2, 16, "machine")


def test_inspect_of_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "notes").mkdir()
    (home / "notes" / "a.txt").write_text("text", encoding="utf-8")
    status, _, err = run(capsys, "inspect", "notes")
    assert status == 2
    assert err.startswith("torrentnet: notes: no folder has `tracker.*` and `peer.*`; there is `a.txt`\n    write a")


def test_programs_of_the_command_line(submission: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "mine.yaml").write_text(
        "files: {a.txt: {size: 1MiB}}\nnodes:\n  tracker: {tracker: {program: theirs}}\n"
        "  leecher: {get: a.txt}\n  seeder: {share: a.txt}\n"
        "timeline: [{at: 1s, kill: source of leecher}, {at: 2s, pause: source of leecher, for: 1s}]\nexpect: none\n",
        encoding="utf-8",
    )
    words = ("--program", "theirs=submission", "--peers", "submission")
    status, out, _ = run(capsys, "validate", "mine.yaml", *words)
    assert (status, out) == (0, "mine.yaml: 3 nodes, 2 events, 0 expectations\n")
    status, out, _ = run(capsys, "explain", "mine.yaml", *words)
    assert status == 0
    golden.check("explain_programs.txt", out)
    status, _, err = run(capsys, "run", "mine.yaml", "--peers", "submission")
    assert status == 2
    assert "there is no program `theirs`" in err


def test_validate_goes_on_where_a_program_does_not_fit(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(scenarios_folder() / f"{name}.yaml") for name in ("mixed_swarm", "killed_seed")]
    (submission / "src" / "peer.py").unlink()
    status, out, _ = run(capsys, "validate", *names, "--program", "x=submission", "--json")
    assert status == 2
    assert [row["valid"] for row in json.loads(out)] == [False, False]


@pytest.mark.parametrize("command", ["run", "up", "sweep", "explain", "validate"])
def test_a_path_without_a_program_is_refused(command: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = str(scenarios_folder() / "many_leechers.yaml")
    grid = ["--grid", "leechers=2"] if command == "sweep" else []
    status, out, err = run(capsys, command, scenario, *grid, "--tracker", "nowhere.zip")
    assert status == 2
    assert "--tracker nowhere.zip: there is no such folder or archive" in out + err
    assert "Traceback" not in err


def test_nothing_is_left_of_programs(submission: Path, home: Path) -> None:
    words = [sys.executable, "-m", "torrentnet.lab", "inspect", "submission"]
    subprocess.run(words, cwd=home, check=True, capture_output=True)
    assert sorted(path.name for path in home.iterdir()) == ["submission"]
