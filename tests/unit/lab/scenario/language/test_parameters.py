from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.events import RunPlan

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
parameters: {leechers: 3, keepalive: 500ms, size: 8MiB, rate: 16mbit, loss: 5%, command: ls}
about: $leechers leechers at ${rate}, $$5.
files:
  myfile.txt: {size: $size}
nodes:
  tracker: {tracker: {keepalive: $keepalive}}
  seeder: {share: myfile.txt, upload: $rate}
  leecher: {get: myfile.txt, count: $leechers}
links:
  - {between: all, loss: $loss}
timeline:
  - {at: 5s, run: $command "$$HOME", node: leecher-$leechers}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    return path


SETS = "the command line sets"


def wrong(path: Path, **settings: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_plan(path, "lab.yaml", settings=settings)
    # Without the excerpts of the file, which is the same in all tests.
    texts = [str(replace(problem, excerpt="")) for problem in caught.value.problems]
    return [line.strip() for text in texts for line in text.split("\n")]


def test_parameters_have_their_defaults(scenario: Path) -> None:
    plan = load_plan(scenario)
    assert plan.about == "3 leechers at 16mbit, $5."
    assert sum(node.group == "leecher" for node in plan.nodes) == 3
    assert plan.files[0].content == 8 * 2**20
    assert plan.links[0].qualities.loss == 0.05
    assert isinstance(plan.events[0], RunPlan)
    assert (plan.events[0].command, plan.events[0].nodes) == ('ls "$HOME"', ("leecher-3",))
    assert plan.parameters == (
        ("leechers", "3"),
        ("keepalive", "500ms"),
        ("size", "8MiB"),
        ("rate", "16mbit"),
        ("loss", "5%"),
        ("command", "ls"),
    )


def test_the_command_line_sets_parameters(scenario: Path) -> None:
    plan = load_plan(scenario, settings={"leechers": "50", "rate": "1MiB/s", "command": "touch x;"})
    assert plan.about == "50 leechers at 1MiB/s, $5."
    assert sum(node.group == "leecher" for node in plan.nodes) == 50
    assert isinstance(plan.events[0], RunPlan)
    assert plan.events[0].command == 'touch x; "$HOME"'
    assert dict(plan.parameters)["leechers"] == "50"


def test_a_setting_is_not_substituted_again(scenario: Path) -> None:
    (run,) = load_plan(scenario, settings={"command": "echo $leechers"}).events
    assert isinstance(run, RunPlan)
    assert run.command == 'echo $leechers "$HOME"'


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"leecher": "5"},
            [
                f"lab.yaml:1:1: parameters: {SETS} `leecher`, which is not a parameter",
                "did you mean `leechers`?",
            ],
        ),
        (
            {"colour": "red"},
            [
                f"lab.yaml:1:1: parameters: {SETS} `colour`, which is not a parameter",
                "there are: `leechers`, `keepalive`, `size`, `rate`, `loss`, `command`",
            ],
        ),
        (
            {"leechers": "many"},
            [
                f"lab.yaml:1:14: parameters.leechers: {SETS} `leechers` to `many`, which is not a whole number",
                "its default is `3`",
            ],
        ),
        (
            {"keepalive": "5"},
            [
                f"lab.yaml:1:27: parameters.keepalive: {SETS} `keepalive` to `5`, which is not a duration",
                "write `5s` or `5ms`; the units of a duration are `ms`, `s`, `m`, `h`",
            ],
        ),
        (
            {"loss": "0.05"},
            [
                f"lab.yaml:1:71: parameters.loss: {SETS} `loss` to `0.05`, which is not a share",
                "write `5%`",
            ],
        ),
        (
            {"command": "a\nb"},
            [
                f"lab.yaml:1:81: parameters.command: {SETS} `command` to an invalid value",
                "write one short line",
            ],
        ),
        (
            # Right in its kind, wrong in its place.
            {"leechers": "900"},
            [
                "lab.yaml:8:37: nodes.leecher.count: 900 is not between 1 and 500",
                "`leechers` is `900` from the command line",
            ],
        ),
    ],
)
def test_a_wrong_setting_is_reported(settings: dict[str, str], said: list[str], scenario: Path) -> None:
    assert wrong(scenario, **settings) == said


def test_a_setting_needs_a_scenario_with_parameters(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("nodes: {tracker: {tracker: {}}}\n")
    assert wrong(path, leechers="5") == [
        f"lab.yaml:1:1: parameters: {SETS} `leechers`, which is not a parameter",
        "this scenario has no parameters",
    ]


def test_all_wrong_settings_are_reported_at_once(scenario: Path) -> None:
    assert len(wrong(scenario, leechers="x", size="x", nobody="x")) == 6
