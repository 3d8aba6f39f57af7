"""A tracker for each module's tests, and one for a test alone."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.hostile.tracker.rig import Target
from tests.loopback.programs import running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A tracker that all tests of a module attack."""
    for loopback in running(tmp_path_factory.mktemp("target")):
        with closing(Target(loopback)) as target:
            yield target


@pytest.fixture
def own_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A tracker with a journal on disk that one test attacks."""
    directory = tmp_path_factory.mktemp("own")
    for loopback in running(directory):
        with closing(Target(loopback, "--state", directory / "state")) as target:
            yield target
