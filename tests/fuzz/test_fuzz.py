"""Each fuzzer for a second; ``make fuzz minutes=N`` runs them longer."""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.__main__ import CORPUS, fuzzers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("what", fuzzers())
def test_a_second_of_each_fuzzer_finds_nothing(what: str, tmp_path: Path) -> None:
    corpus = tmp_path / what
    if (CORPUS / what).is_dir():
        shutil.copytree(CORPUS / what, corpus)
    result = import_module(f"tests.fuzz.fuzz_{what}").run(1.0, 1, corpus)
    assert result.failures == ()
    assert result.inputs > 0 or "atheris" in result.note
