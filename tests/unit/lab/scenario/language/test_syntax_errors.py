"""Mistakes in the notation that no wrong file of ``wrong/`` has."""

from __future__ import annotations

import pytest

from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.language.syntax_errors import missing_space
from torrentnet.lab.scenario.language.yaml_parser import parse_document


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: [x, y\nb: 1\n", 1, 4, "the `[` is not closed"),
        ("a: {x: 1\n", 1, 4, "the `{` is not closed"),
        ("a:\n\tb: 1\n", 2, 1, "the line is indented with a tab"),
        ("a: 'x\n", 1, 4, "the quote is not closed"),
        ("a: @b\n", 1, 4, "a text cannot begin with `@`"),
        ("# only\na:\n    b: 1\n\n  # note\n   c: 1\n", 6, 4, "the line is indented like no line before it"),
    ],
)
def test_a_mistake_is_named_at_its_place(text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_document(text, "x.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.text) == (line, column, said)


def test_a_key_without_a_space_is_recognized() -> None:
    assert missing_space("upload:20mbit") == ("upload", "20mbit")
    for text in ("12:30", "a: b", "http://host", "udp:", "a b:c", "x"):
        assert missing_space(text) is None, text
