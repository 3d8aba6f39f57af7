"""What a submission got, and where it is kept between two calls.

Each submission's result is a file in the output directory, written as soon as it is known: Ctrl-C or a power cut loses
the submission in progress and no other.

Tested by tests/unit/lab/tools/grade/test_results.py.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.paths import write_atomically
from torrentnet.lab.tools.grade.marks import CriterionMark, State, total

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
FOLDER: Final = "results"


@dataclass(frozen=True, slots=True)
class GradingKey:
    """What a mark depends on: a result with another key is not continued."""

    rubric: str
    """SHA-256 of the rubric."""
    submission: str
    """SHA-256 of the submission."""
    seed: int
    version: str
    """Of torrentnet."""


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """What a submission got."""

    name: str
    key: GradingKey
    marks: tuple[CriterionMark, ...]
    error: str = ""
    """Why it could not be run at all; empty where it could."""
    seconds: float = 0.0
    confirmed: bool = False
    """Whether the reference got all points after it, too."""

    @property
    def points(self) -> float:
        """The sum of its points."""
        return total(self.marks)

    @property
    def unsteady(self) -> tuple[str, ...]:
        """Keys of the criteria whose attempts disagreed."""
        return tuple(one.key for one in self.marks if one.unsteady)

    @property
    def not_judged(self) -> tuple[str, ...]:
        """Keys of the criteria that a teacher must look at."""
        return tuple(one.key for one in self.marks if one.state is State.NOT_JUDGED)


class ResultStore:
    """The results in an output directory."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER

    def save(self, result: SubmissionResult) -> None:
        """Write a result. Raises OSError."""
        text = json.dumps({"format": FORMAT, **asdict(result)}, indent=1, ensure_ascii=False)
        write_atomically(self._folder / f"{result.name}.json", text + "\n")

    def load(self, name: str, key: GradingKey) -> SubmissionResult | None:
        """Return a submission's result; None where there is none with this key."""
        try:
            document = json.loads((self._folder / f"{name}.json").read_text("utf-8"))
            result = _parse(document)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return result if result.key == key and result.name == name else None

    def confirm(self, result: SubmissionResult) -> SubmissionResult:
        """Note that the lab was well after a submission, too. Raises OSError."""
        confirmed = replace(result, confirmed=True)
        self.save(confirmed)
        return confirmed

    def discard(self, result: SubmissionResult) -> None:
        """Remove a result: the lab was ill after it."""
        (self._folder / f"{result.name}.json").unlink(missing_ok=True)


def _parse(document: dict[str, Any]) -> SubmissionResult:
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
    marks = tuple(CriterionMark(**{**row, "state": State(row["state"])}) for row in document["marks"])
    fields = {name: document[name] for name in ("name", "error", "seconds", "confirmed")}
    return SubmissionResult(key=GradingKey(**document["key"]), marks=marks, **fields)
