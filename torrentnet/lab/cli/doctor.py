"""The check of a machine for everything that a lab needs.

Tested by tests/unit/lab/cli/test_app.py and tests/integration/test_exit_codes.py.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines import kernel_tables
from torrentnet.lab.engines.selection import AUTO, NAMES, EngineChoice, choose_engine, make_engine
from torrentnet.lab.engines.types import Finding
from torrentnet.lab.errors import EngineError
from torrentnet.lab.network import capabilities

if TYPE_CHECKING:
    from torrentnet.lab.engines.interface import Engine

MIN_PYTHON: Final = (3, 11)
LIBRARIES: Final = ("docker", "pydantic", "PyYAML", "rich", "typer")


def diagnose(engine_name: str) -> tuple[list[Finding], list[Finding]]:
    """Return the findings for the named engine, and those for the other one.

    The other engine is the one that was not chosen. The second list is empty where the name leaves nothing to choose.
    """
    try:
        choice = choose_engine(engine_name)
    except EngineError:
        # No engine works: the findings for the first one help most.
        choice = EngineChoice(make_engine(NAMES[0]), "no engine works here")
    with contextlib.closing(choice.engine):
        rows = [Finding("engine", True, f"{choice.engine.name}: {choice.reason}"), *collect_findings(choice.engine)]
        others = []
        for name in NAMES:
            if engine_name == AUTO and name != choice.engine.name:
                with contextlib.closing(make_engine(name)) as other:
                    others += [replace(row, optional=True) for row in other.diagnose()]
    return rows, others


def collect_findings(engine: Engine) -> list[Finding]:
    """Return the findings of this machine, the engine and its network.

    The findings of Python and the libraries are included.
    """
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} processors"
    rows = [_check_python(), _check_libraries(), Finding("machine", True, machine), *engine.diagnose()]
    rows += kernel_tables.findings()
    if all(row.ok or row.optional for row in rows):
        rows += capabilities.findings(engine)
    return rows


def _check_python() -> Finding:
    need = ".".join(map(str, MIN_PYTHON))
    return Finding(
        "Python", sys.version_info >= MIN_PYTHON, platform.python_version(), f"install Python {need} or newer"
    )


def _check_libraries() -> Finding:
    missing, versions = [], []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("libraries", False, f"missing: {', '.join(missing)}", "`make` installs them into .venv")
    return Finding("libraries", True, ", ".join(versions))
