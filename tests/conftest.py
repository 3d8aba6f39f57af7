"""Which tests a worker runs together (``pytest --numprocesses N --dist loadgroup``).

All of a file, because its tests share labs; all of a file on one engine, where its tests run on several; and all that
concerns one scenario. The plugin's own mark for that has no effect with the pytest that we use.
"""

from __future__ import annotations

import re

import pytest

ENGINES = ("docker", "local", "loopback")
SCENARIOS = "test_scenarios.py"


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
    return f"{file}::{engine}"
