"""A pytest plugin: labs as fixtures.

::

    @pytest.mark.torrentnet("scenarios/three_seeders.yaml", settings={"leechers": 5})
    def test_a_dead_seeder_is_forgotten(torrentnet_lab):
        torrentnet_lab.kill("seeder-1")
        torrentnet_lab.wait_event("tracker", "forgotten", peer="seeder-1")

pytest loads it in every run of an environment that has torrentnet, so that it imports nothing of the lab before a test
asks for one.

PYTEST_DONT_REWRITE: nothing is asserted here, and an editable install is loaded before pytest could rewrite it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from torrentnet.lab.api import Lab
    from torrentnet.lab.engines.interface import Engine

KEEP = "--torrentnet-keep"
MARKER = "torrentnet"
MAX_QUOTED_NODES = 4
"""Whose last lines are shown when a test fails."""
MAX_QUOTED_LINES = 12


@dataclass(slots=True)
class _TestLabs:
    """What is known of one test that uses labs."""

    labs: list[Lab] = field(default_factory=list)
    failed: bool = False


@dataclass(slots=True)
class _SessionState:
    """What is known of the run."""

    kept: bool = False
    """Whether a lab is left up; there is place for one."""


TEST = pytest.StashKey[_TestLabs]()
SESSION = pytest.StashKey[_SessionState]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our option."""
    parser.getgroup("torrentnet", "network labs").addoption(
        KEEP,
        action="store_true",
        help="leave the lab of the first test that fails up, and say how to attach to its nodes; "
        "a lab that is up already is taken down before",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make our marker known."""
    config.stash[SESSION] = _SessionState()
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario, *, settings={{}}): what the fixture torrentnet_lab brings up, by its name or path",
    )


@pytest.fixture
def torrentnet_engine() -> str | Engine:
    """What runs the nodes of this test's labs; override it to name another."""
    from torrentnet.lab.engines.selection import DEFAULT

    return DEFAULT


@pytest.fixture
def torrentnet_open(request: pytest.FixtureRequest, torrentnet_engine: str | Engine) -> Iterator[Callable[..., Lab]]:
    """A function that brings a scenario up, by name or path, with ``settings=``; the test's end removes it."""
    from torrentnet.lab.api import open_lab

    test = request.node.stash.setdefault(TEST, _TestLabs())
    session = request.config.stash[SESSION]
    wants_keep = request.config.getoption(KEEP)
    with contextlib.ExitStack() as stack:

        def open_one(scenario: str | Path, **settings: Any) -> Lab:
            # The first one of a test that fails is left up: there is place for one.
            first = not test.labs

            def keep() -> bool:
                session.kept = session.kept or (first and test.failed)
                return first and test.failed

            lab = stack.enter_context(
                open_lab(
                    _resolve_scenario(scenario, request),
                    engine=torrentnet_engine,
                    keep=keep if wants_keep and first and not session.kept else False,
                    **settings,
                )
            )
            test.labs.append(lab)
            return lab

        yield open_one


@pytest.fixture
def torrentnet_lab(request: pytest.FixtureRequest, torrentnet_open: Callable[..., Lab]) -> Lab:
    """The lab of the scenario that the marker ``torrentnet`` names, with its tracker and first seeds up."""
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(
            f'{request.node.nodeid}: which scenario? mark the test with @pytest.mark.{MARKER}("scenarios/x.yaml")'
        )
    return torrentnet_open(marker.args[0], **marker.kwargs)


def _resolve_scenario(scenario: str | Path, request: pytest.FixtureRequest) -> str | Path:
    """A path beside the test, or below the root of the tests; else as it is: a name, or a path from here."""
    if not (isinstance(scenario, Path) or scenario.endswith((".yaml", ".yml"))):
        return scenario
    for folder in (request.path.parent, request.config.rootpath):
        if (folder / scenario).is_file():
            return folder / scenario
    return scenario


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the last lines of the nodes concerned when a test with a lab fails."""
    report = yield
    test = item.stash.get(TEST, None)
    if test is None or not report.failed:
        return report
    test.failed = True
    if report.when == "teardown":
        return report
    said = report.longreprtext
    for lab in test.labs:
        for node in relevant_nodes(lab, said):
            lines = lab.nodes.last_lines(node)[-MAX_QUOTED_LINES:] or ["(nothing)"]
            report.sections.append((f"the last lines of {node}", "\n".join(lines)))
        report.sections.append(("the lab", "\n".join(_attach_lines(item, lab, first=lab is test.labs[0]))))
    return report


def relevant_nodes(lab: Lab, said: str) -> list[str]:
    """The nodes that a failure is about: those that it names, then those that ended badly, else the tracker."""
    names = [node.name for node in lab.plan.nodes]
    named = [name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said)]
    ended = [name for name in names if lab.nodes.snapshot(name).state.exit_code not in {0, None}]
    return list(dict.fromkeys([*named, *ended]))[:MAX_QUOTED_NODES] or names[:1]


def _attach_lines(item: pytest.Item, lab: Lab, *, first: bool) -> Iterator[str]:
    yield f"record: {lab.directory}"
    if not item.config.getoption(KEEP):
        yield f"it is removed; {KEEP} leaves it up"
        return
    if not first or item.config.stash[SESSION].kept:
        yield "it is removed, since another one is left up"
        return
    from torrentnet.lab.paths import lab_home

    home = "" if lab.home == lab_home() else f"TORRENTNET_HOME={lab.home} "
    node = lab.plan.nodes[-1].name
    yield f"it is left up as {lab.project}:"
    yield f"  {home}torrentnet status"
    yield f"  {home}torrentnet attach {node}"
    yield f"  {home}torrentnet down"
