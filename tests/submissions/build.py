"""Write a submission: the plain, right program with the edits of one mutant.

``write("one_recv", directory)`` fills a directory with files in which nothing tells that they were edited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN: Final = Path(__file__).resolve().parents[2] / "rubrics" / "reference"
"""The reference of the rubric: a plain program that is right."""


@dataclass(frozen=True)
class Edit:
    """Replace a text, which occurs exactly once, in one file of the plain program."""

    file: str
    old: str
    new: str

    def apply(self, texts: dict[str, str]) -> None:
        """Replace the text in the files of a submission, given by name."""
        found = texts[self.file].count(self.old)
        if found != 1:
            raise ValueError(f"{self.file} has {found} times, and not once: {self.old}")
        texts[self.file] = texts[self.file].replace(self.old, self.new)


@dataclass(frozen=True)
class Submission:
    """What somebody hands in, and the marks that it deserves."""

    about: str
    """What is wrong or odd, in one line."""
    edits: tuple[Edit, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    """New paths of the plain program's files, which edits name by their old ones."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files beside those of the plain program, or instead of them."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Marks that are left of each criterion, by its id, that does not get all of its points."""

    @property
    def lost(self) -> frozenset[str]:
        """Return the criteria that do not get all of their points."""
        return frozenset(self.left)

    def texts(self) -> dict[str, str]:
        """Return the text of each file."""
        texts = {path.name: path.read_text("utf-8") for path in sorted(PLAIN.glob("*.py"))}
        for edit in self.edits:
            edit.apply(texts)
        return {self.renamed.get(name, name): text for name, text in texts.items()} | dict(self.files)

    def write(self, directory: Path) -> Path:
        """Write all files below a directory, which is created."""
        for name, text in self.texts().items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return directory
