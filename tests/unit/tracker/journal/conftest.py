"""A journal in memory."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker.journal.samples import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.tracker.journal.journal import Journal


@pytest.fixture
def journal() -> Iterator[Journal]:
    with closing(open_journal()) as journal:
        yield journal
