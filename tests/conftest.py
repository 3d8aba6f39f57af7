"""Distribution of the tests over the workers, and settings for all tests.

With ``pytest --numprocesses N --dist loadgroup``, one worker runs together all tests of a file, because they share
labs. Where the tests of a file run on several engines, one worker runs those on one engine. All tests that concern
one scenario run together, too, and so do all tests of the HTML pages, which share a browser. The plugin's own mark for
that has no effect with the pytest that we use.

Labs mostly wait, and unit tests never do. With three workers or more, the last one runs unit tests alone, at a lower
priority: they use the time of the processors that the labs leave, and delay none of them. Half of the others begin
with Docker's labs, and half with those without Docker: fewer of Docker's, which need more of the processors, run at the
same time.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

ENGINES = ("docker", "local", "loopback")
SCENARIOS = "test_scenarios.py"
UNIT: Final = "tests/unit/"
BROWSER: Final = "tests/browser/"
DEAD_LABS: Final = "dead labs"
DOCKER_FOLDERS: Final = ("tests/integration/", "tests/interop/")
LOW_PRIORITY: Final = 10
FEWEST_WORKERS: Final = 3
"""From this number of workers on, one is for unit tests alone."""

# How long an example takes says more about the machine than about what is tested.
settings.register_profile("tests", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_configure() -> None:
    """Restore Ctrl-C and stored bytecode for the programs that tests start.

    A shell script starts its background jobs with SIGINT and SIGQUIT ignored, and their children inherit that.
    Where PYTHONDONTWRITEBYTECODE is set, each of the hundreds of processes would compile the lab anew.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """The scheduler of ``--dist loadgroup``; None for other ways."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        """Distributes groups of tests, and gives one worker unit tests alone."""

        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

        def _assign_work_unit(self, node: WorkerController) -> None:
            self.workqueue.move_to_end(min(self.workqueue, key=self._order(node)), last=False)
            super()._assign_work_unit(node)

        def _order(self, node: WorkerController) -> Callable[[str], tuple[int, int]]:
            """Return the key by which a worker's next group is the least one."""
            # Without an order by number of tests, the last files have the longest ones: all workers end together.
            queue = self.workqueue if self.config.option.loadscopereorder else reversed(self.workqueue)
            places = {scope: place for place, scope in enumerate(queue)}
            kinds = [Kind.DOCKER, Kind.OTHER, Kind.UNIT]
            if self._has_low_priority(node):
                kinds.reverse()
            elif int(node.gateway.id.removeprefix("gw")) % 2 == 0:
                kinds = [Kind.OTHER, Kind.DOCKER, Kind.UNIT]
            return lambda scope: (kinds.index(kind_of(scope)), places[scope])

        def _reschedule(self, node: WorkerController) -> None:
            if self._has_low_priority(node) and not any(kind_of(scope) is Kind.UNIT for scope in self.workqueue):
                node.shutdown()
            else:
                super()._reschedule(node)

        def _has_low_priority(self, node: WorkerController) -> bool:
            return has_low_priority(node.gateway.id, self.numnodes, self.collection or ())

    return Scheduling(config, log)


class Kind(Enum):
    """What a group of tests needs."""

    UNIT = auto()
    DOCKER = auto()
    OTHER = auto()


def kind_of(scope: str) -> Kind:
    """Return what a group of tests needs, by its name."""
    if scope.startswith(UNIT):
        return Kind.UNIT
    in_folder = scope == DEAD_LABS or scope.startswith(DOCKER_FOLDERS)
    return Kind.DOCKER if in_folder and not scope.endswith(("::local", "::loopback")) else Kind.OTHER


def has_low_priority(worker: str, workers: int, tests: Iterable[str]) -> bool:
    """Whether a worker of this name runs only the unit tests of ``tests``."""
    last = workers >= FEWEST_WORKERS and worker == f"gw{workers - 1}"
    return last and any(test.startswith(UNIT) for test in tests)


@pytest.fixture(scope="session", autouse=True)
def low_priority(request: pytest.FixtureRequest) -> None:
    """Lower the priority of the worker that runs unit tests alone."""
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", ""), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")
    tests = (item.nodeid for item in request.session.items)
    if getattr(request.config.option, "loadgroup", False) and has_low_priority(worker, int(workers), tests):
        os.nice(LOW_PRIORITY)


def group(nodeid: str) -> str:
    """What a test belongs to, by its id."""
    if nodeid.startswith(BROWSER):
        return BROWSER
    file, _, test = nodeid.partition("::")
    found = re.search(r"\[(.*)\]$", test)
    words = found[1].split("-") if found else []
    if file.endswith(SCENARIOS) and words:
        return f"{file}::{words[-1]}"
    engine = next((word for word in words if word in ENGINES), "")
    if engine == "docker" and "kill_9" in test:
        # The start of one of these labs removes what another such test has left.
        return DEAD_LABS
    return f"{file}::{engine}"
