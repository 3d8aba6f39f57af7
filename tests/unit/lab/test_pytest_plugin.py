"""The pytest plugin, run by pytest itself, with an engine that runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.stub import SCENARIO
from torrentnet.lab.home import read_running_lab

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from tests.unit.lab.stub import StubEngine

@pytest.fixture
def torrentnet_engine():
    return StubEngine()
"""
GOOD = """
import pytest

@pytest.mark.torrentnet("x.yaml", settings={"seeders": 3})
def test_by_marker(torrentnet_lab):
    torrentnet_lab.kill("seeder-3")
    assert torrentnet_lab.state("seeder-3").exit_code == 137

def test_by_path(torrentnet_open):
    lab = torrentnet_open("x.yaml", settings={"seeders": 1})
    assert lab.select("seeder") == ("seeder-1",)
"""
BAD = """
import pytest

@pytest.mark.torrentnet("x.yaml")
def test_bad(torrentnet_lab):
    torrentnet_lab.engine.say("seeder-2", "failed reason=tired")
    torrentnet_lab.kill("seeder-1")
    assert torrentnet_lab.state("seeder-2").exit_code == 1

@pytest.mark.torrentnet("x.yaml")
def test_worse(torrentnet_lab):
    assert False
"""

PROGRAMS = """
import pytest
from torrentnet.lab.errors import UsageError

@pytest.mark.parametrize("given", [{"programs": {"mine": "mine"}}, {"tracker": "mine", "programs": {"mine": "mine"}}])
def test_found(torrentnet_open, given):
    with pytest.raises(UsageError, match="no node runs the program `mine`"):
        torrentnet_open("x.yaml", **given)
"""


@pytest.fixture
def home(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    home: Path = pytester.mkdir("home")
    monkeypatch.setenv("TORRENTNET_HOME", str(home))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST)
    (pytester.path / "x.yaml").write_text(SCENARIO, encoding="utf-8")
    return home


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "torrentnet.lab.pytest_plugin", "--strict-markers", "-W", "error", *words)


def test_fixtures_bring_labs_up_and_remove_them(pytester: pytest.Pytester, home: Path) -> None:
    pytester.makepyfile(GOOD)
    run(pytester).assert_outcomes(passed=2)
    assert [path.name for path in home.iterdir()] == ["runs"]


def test_programs_are_found_beside_the_test(pytester: pytest.Pytester, home: Path) -> None:
    folder = pytester.mkdir("tests")
    (folder / "mine").mkdir()
    for name in ("tracker.py", "peer.py"):
        (folder / "mine" / name).touch()
    (folder / "test_mine.py").write_text(PROGRAMS, encoding="utf-8")
    run(pytester, "tests").assert_outcomes(passed=2)


def test_a_failure_shows_the_last_lines_of_its_nodes(pytester: pytest.Pytester, home: Path) -> None:
    pytester.makepyfile(BAD)
    result = run(pytester)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*the last lines of seeder-2*",
            "*published file=a.txt*",
            "*failed reason=tired",
            "*the lab*",
            f"record: {home}/runs/x/*",
            "removed; --torrentnet-keep leaves it up",
            "*the last lines of tracker*",
        ]
    )
    # seeder-1 is named in the failure's source, and has ended with another status than 0.
    result.stdout.fnmatch_lines(["*the last lines of seeder-1*"])
    result.stdout.no_fnmatch_line("*the last lines of leecher*")
    assert [path.name for path in home.iterdir()] == ["runs"]


def test_the_lab_of_the_first_failed_test_is_left_up(pytester: pytest.Pytester, home: Path) -> None:
    pytester.makepyfile(test_1=GOOD, test_2=BAD)
    result = run(pytester, "--torrentnet-keep")
    result.assert_outcomes(passed=2, failed=2)
    up = read_running_lab(home)
    assert up is not None
    result.stdout.fnmatch_lines(
        [
            f"left up as {up.project}:",
            "  torrentnet status",
            "  torrentnet attach leecher",
            "  torrentnet down",
            "removed, because another lab is left up",
        ]
    )
    assert [path.name for path in (home / ".torrentnet" / "labs").iterdir()] == [up.project]


def test_no_lab_is_left_up_when_every_test_passes(pytester: pytest.Pytester, home: Path) -> None:
    pytester.makepyfile(GOOD)
    run(pytester, "--torrentnet-keep").assert_outcomes(passed=2)
    assert [path.name for path in home.iterdir()] == ["runs"]


def test_a_missing_marker_is_an_error(pytester: pytest.Pytester, home: Path) -> None:
    pytester.makepyfile("def test_x(torrentnet_lab): pass")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ['*::test_x names no scenario: mark it with @pytest.mark.torrentnet("scenarios/x.yaml")']
    )


def test_the_option_and_the_fixtures_have_help(pytester: pytest.Pytester, home: Path) -> None:
    run(pytester, "--help").stdout.fnmatch_lines(["network labs:", "*--torrentnet-keep*"])
    run(pytester, "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.torrentnet(scenario, *, settings={}, programs={}):*"]
    )
    run(pytester, "--fixtures").stdout.fnmatch_lines_random(["torrentnet_open*", "torrentnet_lab*"])
