"""Names of submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.errors import UsageError
from torrentnet.lab.tools.grade.submissions import name_submissions, submission_name

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("class/ada", "ada"),
        ("class/ada/", "ada"),
        ("class/Ada Lovelace (2).tar.gz", "Ada_Lovelace_2"),
        ("class/bob.ZIP", "bob"),
        ("image:example/client:2.0", "client_2.0"),
        ("class/<script>.zip", "script"),
        ("class/???.zip", "submission"),
    ],
)
def test_a_name_is_safe_in_a_path_and_a_page(path: str, name: str) -> None:
    assert submission_name(path) == name


def test_mistakes_are_told(tmp_path: Path) -> None:
    for folder in ("a/x", "b/x", "reference"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"two submissions are called x: .*a/x and .*b/x"):
        name_submissions([str(tmp_path / "a/x"), str(tmp_path / "b/x")])
    with pytest.raises(UsageError, match=r"there is no .*nowhere"):
        name_submissions([str(tmp_path / "nowhere")])
    with pytest.raises(UsageError, match="two submissions are called reference"):
        name_submissions([str(tmp_path / "reference")])
