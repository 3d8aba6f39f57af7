"""Submissions on the command line: their names, and their preparation.

Tested by tests/unit/lab/tools/grade/test_submissions.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import UsageError
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME: Final = 80
REFERENCE: Final = "reference"
"""The reference's own name: no submission has it."""


def name_submissions(paths: Iterable[str]) -> dict[str, str]:
    """Return a name for each submission, safe in a path and on a page.

    It is that of the folder or the archive.

    Raises UsageError for a path that does not exist, one that is given twice, and two submissions of one name.
    """
    found: dict[str, str] = {}
    for path in paths:
        name = submission_name(path)
        if not path.startswith("image:") and not Path(path).exists():
            raise UsageError(f"there is no {escape_controls(path)}", hint="name a folder, an archive, or `image:NAME`")
        if (other := found.get(name)) is not None or name == REFERENCE:
            with_what = f"{escape_controls(other)} and " if other else "the name of the reference: "
            raise UsageError(
                f"two submissions are called {name}: {with_what}{escape_controls(path)}", hint="rename one"
            )
        found[name] = path
    return found


def submission_name(path: str) -> str:
    """Return the name of one submission."""
    name = path.removeprefix("image:").rstrip("/").rpartition("/")[2]
    suffix = next((suffix for suffix in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(suffix)), "")
    name = name[: len(name) - len(suffix)] if suffix else name
    if name in ("", ".", ".."):
        name = Path(path).resolve().name
    return _UNSAFE.sub("_", name).strip("._")[:MAX_NAME] or "submission"
