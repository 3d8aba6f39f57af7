"""Write submissions into folders: python -m tests.submissions DIRECTORY [NAME...]."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.submissions.catalogue import ALL


def main(arguments: list[str]) -> int:
    """Write the named submissions, or all, and print what they are."""
    if not arguments or arguments[0].startswith("-") or set(arguments[1:]) - set(ALL):
        print(f"usage: python -m tests.submissions DIRECTORY [NAME...]\nnames: {' '.join(ALL)}", file=sys.stderr)
        return 2
    for name in arguments[1:] or ALL:
        submission = ALL[name]
        submission.write(Path(arguments[0]) / name)
        lost = ", ".join(str(number) for number in sorted(submission.lost)) or "none"
        print(f"{name}: {submission.about}; criteria without all marks: {lost}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
