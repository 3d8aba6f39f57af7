"""The pytest plugin: labs as fixtures.

::

    @pytest.mark.torrentnet("scenarios/three_seeders.yaml", settings={"leechers": 5})
    def test_a_dead_seeder_is_forgotten(torrentnet_lab):
        torrentnet_lab.kill("seeder-1")
        torrentnet_lab.wait_event("tracker", "forgotten", peer="seeder-1")

pytest loads the plugin in every environment that has torrentnet; the lab is imported when a test requests one.

PYTEST_DONT_REWRITE: there are no assertions here, and an editable install is loaded before pytest could rewrite it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from torrentnet.lab.api import Lab
    from torrentnet.lab.engines.interface import Engine

KEEP: Final = "--torrentnet-keep"
MARKER: Final = "torrentnet"
MAX_QUOTED_NODES: Final = 4
"""Nodes whose last lines are shown when a test fails."""
MAX_QUOTED_LINES: Final = 12


@dataclass(slots=True)
class _TestLabs:
    """The labs of one test."""

    labs: list[Lab] = field(default_factory=list)
    failed: bool = False


TEST: Final = pytest.StashKey[_TestLabs]()
KEPT: Final = pytest.StashKey[bool]()
"""Whether the session has left a lab up; only one can be."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--torrentnet-keep``."""
    parser.getgroup("torrentnet", "network labs").addoption(
        KEEP,
        action="store_true",
        help="leave the lab of the first failed test up, and print how to attach to its nodes; "
        "a lab that is up already is taken down first",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.stash[KEPT] = False
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario, *, settings={{}}, programs={{}}): the scenario of torrentnet_lab, a name or path",
    )


@pytest.fixture
def torrentnet_engine() -> str | Engine:
    """The engine of this test's labs; override the fixture to use another one."""
    from torrentnet.lab.engines.selection import DEFAULT

    return DEFAULT


@pytest.fixture
def torrentnet_open(request: pytest.FixtureRequest, torrentnet_engine: str | Engine) -> Iterator[Callable[..., Lab]]:
    """A function that brings a scenario up, given its name or path.

    The function's argument ``settings=`` sets the scenario's parameters, ``programs=`` says where its programs are;
    their paths are found as the scenario's is.
    """
    from torrentnet.lab.api import open_lab

    test: _TestLabs = request.node.stash.setdefault(TEST, _TestLabs())
    stash = request.config.stash
    wants_keep = request.config.getoption(KEEP)
    with contextlib.ExitStack() as stack:

        def open_one(scenario: str | Path, **settings: Any) -> Lab:
            # Only one lab can be left up: the first of a failed test.
            first = not test.labs

            def keep() -> bool:
                stash[KEPT] = stash[KEPT] or test.failed
                return test.failed

            lab = stack.enter_context(
                open_lab(
                    _resolve_scenario(scenario, request),
                    engine=torrentnet_engine,
                    keep=keep if wants_keep and first and not stash[KEPT] else False,
                    **_resolve_programs(settings, request),
                )
            )
            test.labs.append(lab)
            return lab

        yield open_one


@pytest.fixture
def torrentnet_lab(request: pytest.FixtureRequest, torrentnet_open: Callable[..., Lab]) -> Lab:
    """The lab of the scenario that the marker ``torrentnet`` names.

    The lab's tracker and initial seeds are up.
    """
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(
            f'{request.node.nodeid} names no scenario: mark it with @pytest.mark.{MARKER}("scenarios/x.yaml")'
        )
    return torrentnet_open(marker.args[0], **marker.kwargs)


def _resolve_scenario(scenario: str | Path, request: pytest.FixtureRequest) -> str | Path:
    """Return a scenario's path beside the test or below pytest's root directory.

    Else the name or path is returned as it is.
    """
    if not (isinstance(scenario, Path) or scenario.endswith((".yaml", ".yml"))):
        return scenario
    return _beside_test(scenario, request)


def _beside_test(path: str | Path, request: pytest.FixtureRequest) -> str | Path:
    for folder in (request.path.parent, request.config.rootpath):
        if (folder / path).exists():
            return folder / path
    return path


def _resolve_programs(settings: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments of a lab with the paths of its programs."""
    found = dict(settings)
    for key in ("tracker", "peers"):
        if found.get(key) is not None:
            found[key] = _beside_test(found[key], request)
    if found.get("programs"):
        found["programs"] = {name: _beside_test(path, request) for name, path in found["programs"].items()}
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of the nodes concerned to the report of a failed test."""
    report = yield
    test = item.stash.get(TEST, None)
    if test is None or not report.failed:
        return report
    test.failed = True
    if report.when == "teardown":
        return report
    failure = report.longreprtext
    for lab in test.labs:
        for node in relevant_nodes(lab, failure):
            lines = lab.nodes.last_lines(node)[-MAX_QUOTED_LINES:] or ["(nothing)"]
            report.sections.append((f"the last lines of {node}", "\n".join(lines)))
        report.sections.append(("the lab", "\n".join(_attach_lines(item, lab, first=lab is test.labs[0]))))
    return report


def relevant_nodes(lab: Lab, failure: str) -> list[str]:
    """Return the nodes that are relevant to a failure.

    The nodes that the failure names are first, then those whose program failed; else the tracker is the only one.
    """
    names = [node.name for node in lab.plan.nodes]
    named = [name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", failure)]
    ended = [name for name in names if lab.nodes.snapshot(name).state.exit_code not in {0, None}]
    return list(dict.fromkeys([*named, *ended]))[:MAX_QUOTED_NODES] or names[:1]


def _attach_lines(item: pytest.Item, lab: Lab, *, first: bool) -> Iterator[str]:
    yield f"record: {lab.directory}"
    if not item.config.getoption(KEEP):
        yield f"removed; {KEEP} leaves it up"
        return
    if not first or item.config.stash[KEPT]:
        yield "removed, because another lab is left up"
        return
    from torrentnet.lab.paths import lab_home

    home = "" if lab.home == lab_home() else f"TORRENTNET_HOME={lab.home} "
    node = lab.plan.nodes[-1].name
    yield f"left up as {lab.project}:"
    yield f"  {home}torrentnet status"
    yield f"  {home}torrentnet attach {node}"
    yield f"  {home}torrentnet down"
