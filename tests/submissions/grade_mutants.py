"""Grade programs of which it is known what is wrong: ``make mutants``.

The grader must take exactly the named points from each mutant, and none from the right programs. What an attack
prints when it reaches something must not be in anything that the grader keeps of a node.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.submissions.attacks import ATTACKS
from tests.submissions.catalogue import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.submissions.build import Submission

KNOWN = {**ALL, **ATTACKS}
REACHED = b"REACHED"


@dataclass(frozen=True)
class Difference:
    """A criterion whose points are not those of the table."""

    criterion: str
    points: float
    expected: float
    saw: str

    def __str__(self) -> str:
        return f"{self.criterion}: {self.points:g} points, expected {self.expected:g} ({self.saw})"


def differences(submission: Submission, row: Mapping[str, Any], most: Mapping[str, float]) -> Iterator[Difference]:
    """Compare a submission's marks with those that it deserves.

    ``most`` has the points of each criterion.
    """
    for key, mark in row["marks"].items():
        expected = float(submission.left.get(key, most[key]))
        if mark["points"] != expected:
            yield Difference(key, mark["points"], expected, mark["saw"])


def reached(attempts: Path) -> list[str]:
    """Return the logs in which an attack says that it reached something."""
    return sorted(str(path) for path in attempts.rglob("*.log") if REACHED in path.read_bytes())


def main(arguments: list[str] | None = None) -> int:
    """Grade, compare, print a table; return 1 where something differs."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="", help="names, separated by blanks (default: all but the attacks)")
    parser.add_argument("--repeat", type=int, default=1, help="how often each is graded, with another seed each time")
    parser.add_argument("--jobs", type=int, default=2, help="labs at once (default: 2)")
    parser.add_argument("--out", type=Path, help="where marks are kept (default: a temporary directory)")
    options = parser.parse_args(arguments)
    names = options.only.split() or list(ALL)
    if unknown := set(names) - set(KNOWN):
        parser.error(f"unknown: {' '.join(sorted(unknown))}; known are {' '.join(KNOWN)}")
    with tempfile.TemporaryDirectory(prefix="torrentnet-mutants-") as temporary:
        out = options.out or Path(temporary) / "marks"
        paths = [str(KNOWN[name].write(Path(temporary) / "class" / name)) for name in names]
        wrong = sum(_round(paths, out / f"seed-{seed}", seed, options.jobs) for seed in range(1, options.repeat + 1))
    print(f"{wrong} differences in {len(names) * options.repeat} gradings")
    return 1 if wrong else 0


def _round(paths: list[str], out: Path, seed: int, jobs: int) -> int:
    words = ["grade", "simple_torrent", *paths, "--out", str(out), "--seed", str(seed), "--jobs", str(jobs)]
    done = subprocess.run([sys.executable, "-m", "torrentnet.lab", *words], check=False)
    if not (out / "class.json").is_file():
        print("nothing was graded")
        return max(1, done.returncode)
    document = json.loads((out / "class.json").read_text("utf-8"))
    most = {row["key"]: row["points"] for row in document["criteria"]}
    wrong = abs(done.returncode) + len(paths) - len(document["submissions"])
    for row in document["submissions"]:
        found = list(differences(KNOWN[row["name"]], row, most)) if row["name"] in ALL else []
        found_logs = reached(out / "attempts" / row["name"])
        wrong += len(found) + len(found_logs)
        unsteady = f", unsteady: {' '.join(row['unsteady'])}" if row["unsteady"] else ""
        print(f"{row['name']}: {row['points']:g} points{unsteady}{'' if found or found_logs else ', as expected'}")
        for line in (*map(str, found), *(f"an attack has reached something: {path}" for path in found_logs)):
            print(f"    {line}")
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
