"""What this machine has of what a lab needs, whatever the engine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import TYPE_CHECKING

from torrentnet.lab.engines.base import Finding

if TYPE_CHECKING:
    from torrentnet.lab.engines.base import Engine

NEED_PYTHON = (3, 11)
LIBRARIES = ("docker", "pydantic", "PyYAML", "rich", "typer")


def findings(engine: Engine) -> list[Finding]:
    """All rows of ``doctor``."""
    return [_python(), _libraries(), _machine(), *engine.examine()]


def _python() -> Finding:
    found = platform.python_version()
    need = ".".join(map(str, NEED_PYTHON))
    return Finding("Python", sys.version_info >= NEED_PYTHON, found, f"{need} or newer is needed")


def _libraries() -> Finding:
    missing, versions = [], []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("libraries", False, f"missing: {', '.join(missing)}", "`make` installs them into .venv")
    return Finding("libraries", True, ", ".join(versions))


def _machine() -> Finding:
    return Finding("machine", True, f"{platform.system()} {platform.release()}, {os.cpu_count()} processors")
