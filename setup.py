"""Put the files that a lab needs into the wheel. They exist once, at the top of the repository.

An editable install runs from the checkout and needs no copies.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = (
    *("Dockerfile", ".dockerignore", "docker-compose.yml", "docker/launch", "scripts/base-image.sh"),
    *("tracker.py", "peer.py", "docs/scenario.schema.json", "docs/torrentnet.lua", "scenarios/*.yaml"),
    *("docs/rubric.schema.json", "rubrics/*.yaml", "rubrics/reference/*"),
)
"""Glob patterns below this directory. torrentnet/lab/paths.py finds the copies, or a checkout's own files."""
FOLDER = "torrentnet/_files"


class BuildWithFiles(build_py):
    """Build the package, with copies of FILES in it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        here = Path(__file__).parent
        target = Path(self.build_lib) / FOLDER
        # A file that has been renamed since an earlier build must not stay.
        shutil.rmtree(target, ignore_errors=True)
        for pattern in FILES:
            found = sorted(here.glob(pattern))
            if not found:
                raise FileNotFoundError(f"{pattern} is not in {here}")
            for file in found:
                copy = target / file.relative_to(here)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy)


setup(cmdclass={"build_py": BuildWithFiles})
