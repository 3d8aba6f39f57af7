"""Programs of the command line."""

from __future__ import annotations

import pytest

from torrentnet.lab.errors import UsageError
from torrentnet.lab.scenario.programs.given import GivenPrograms, parse_programs


def test_a_path_may_have_an_equals_sign() -> None:
    assert parse_programs(["mine=a=b"], None, "x") == GivenPrograms({"mine": "a=b"}, "", "x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine"], "`--program mine` names no program"),
        (["=x"], "`--program =x` names no program"),
        (["mine="], "`--program mine=` names no program"),
        (["My=x"], "`My` cannot be the name of a program"),
        (["a=x", "a=y"], "the program `a` is given twice"),
    ],
)
def test_words_that_name_no_program(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_programs(words)
    assert caught.value.message == message
    assert caught.value.hint
