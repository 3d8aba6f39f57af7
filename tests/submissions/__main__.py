"""Write submissions into folders: python -m tests.submissions DIRECTORY [NAME...]."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.submissions.attacks import ATTACKS
from tests.submissions.catalogue import ALL
from tests.submissions.forms import FORMS
from tests.submissions.mutants import CRITERIA

NAMES = {**ALL, **FORMS, **ATTACKS}


def main(arguments: list[str]) -> int:
    """Write the named submissions, or all, and print what they are."""
    if not arguments or arguments[0].startswith("-") or set(arguments[1:]) - set(NAMES):
        print(f"usage: python -m tests.submissions DIRECTORY [NAME...]\nnames: {' '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in arguments[1:] or NAMES:
        submission = NAMES[name]
        submission.write(Path(arguments[0]) / name)
        lost = ", ".join(sorted(submission.lost, key=CRITERIA.index)) or "none"
        print(f"{name}: {submission.about}; criteria without all marks: {lost}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
