"""Distribution of the tests over the workers, and settings for all tests.

With ``pytest --numprocesses N --dist loadgroup``, one worker runs together all tests of a file, because they share
labs. Where the tests of a file run on several engines, one worker runs those on one engine. All tests that concern
one scenario run together, too. The plugin's own mark for that has no effect with the pytest that we use.
"""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

ENGINES = ("docker", "local", "loopback")
SCENARIOS = "test_scenarios.py"

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

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = group
    return scheduler


def group(nodeid: str) -> str:
    """What a test belongs to, by its id."""
    file, _, test = nodeid.partition("::")
    found = re.search(r"\[(.*)\]$", test)
    words = found[1].split("-") if found else []
    if file.endswith(SCENARIOS) and words:
        return f"{file}::{words[-1]}"
    engine = next((word for word in words if word in ENGINES), "")
    if engine == "docker" and "kill_9" in test:
        # The start of one of these labs removes what another such test has left.
        return "dead labs"
    return f"{file}::{engine}"
