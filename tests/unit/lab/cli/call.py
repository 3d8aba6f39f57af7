"""Call the command line as a shell does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Sequence


def call(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> tuple[int, str, str]:
    """Return the exit status, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    shown = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, shown.out, shown.err
