"""Preparation of a submission: what it is, and one run of an experiment with it.

Tested by tests/integration/test_grade.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet import __version__
from torrentnet.lab.errors import LabError
from torrentnet.lab.scenario.programs.found import find_program
from torrentnet.lab.tools.grade.grader import attempt_seed
from torrentnet.lab.tools.grade.results import GradingKey
from torrentnet.lab.workspace import remove_folder

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.programs.found import FoundProgram
    from torrentnet.lab.tools.grade.attempts import AttemptRunner
    from torrentnet.lab.tools.grade.marks import Attempt
    from torrentnet.lab.tools.grade.rubric import Experiment, Rubric


ROLES: Final = ("tracker", "share", "get")
"""What a submission must have command lines for."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What all submissions of a class have in common."""

    rubric: Rubric
    runner: AttemptRunner
    seed: int

    def prepare(self, name: str, path: str, directory: Path) -> PreparedSubmission:
        """Unpack a submission and find its programs.

        A faulty one has :attr:`PreparedSubmission.error`.
        """
        try:
            program, error = find_program(path, roles=ROLES), ""
        except LabError as failure:
            program, error = None, " ".join(f"{failure.message} ({failure.hint})".split())
        return PreparedSubmission(name, path, directory, self, program, error)


@dataclass(slots=True)
class PreparedSubmission:
    """A :class:`torrentnet.lab.tools.grade.class_run.Prepared`."""

    name: str
    path: str
    directory: Path
    """Receives the attempts."""
    preparation: Preparation
    program: FoundProgram | None
    error: str = ""

    @property
    def key(self) -> GradingKey:
        """What the submission's marks depend on."""
        digest = f"{self.program.digest} {self.program.image}" if self.program else f"{self.path} {self.error}"
        return GradingKey(self.preparation.rubric.digest, digest, self.preparation.seed, __version__)

    def play(self, experiment: Experiment, number: int) -> Attempt:
        """Run an experiment once."""
        assert self.program is not None
        source = self.program.folder or f"image:{self.program.image}"
        seed = attempt_seed(self.preparation.seed, experiment.name, number)
        directory = self.directory / f"{experiment.name}-{number + 1}"
        return self.preparation.runner.run(experiment, source, directory, seed)

    def close(self) -> None:
        """Remove the private copy of its files: a class has many."""
        if self.program is not None and self.program.folder is not None:
            remove_folder(self.program.folder)
