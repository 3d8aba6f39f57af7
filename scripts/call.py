"""Run a command for ``make`` with the values that the user gave to make.

``make`` would paste a value into a shell's line, where a quote or a ``$`` in it becomes code. Here the values come by
the environment and go into the command's words as they are.

usage: call.py COMMAND WORD... with a ``+NAME`` for each variable that may follow, and ``+NAME!`` for one that must.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Final

GOALS: Final = "GOALS"
"""Words behind a target on make's command line: ``make up three_seeders``."""
POSITIONAL: Final = ("scenario", "node", "files", "path")
REPEATED: Final = ("set", "grid", "program")
FLAGS: Final = ("quick", "write", "again", "trust", "open", "capture", "full", "small_blocks", "ui")
OTHERS: Final = (
    "args",
    "tracker",
    "peers",
    "engine",
    "only",
    "runs",
    "repeat",
    "python",
    "minutes",
    "seed",
    "hours",
    "format",
    "out",
    "against",
    "for",
    "at",
)
MISSING: Final = {
    "scenario": "which scenario? make {target} scenario=three_seeders; `make scenarios` lists them",
    "node": "which node? make attach node=tracker; `make status` lists them",
    "path": "which program? make inspect path=../submission.zip",
    "files": "which file? make validate scenario=scenarios/first.yaml",
}
EXIT_USAGE: Final = 2


def main(argv: list[str]) -> None:
    """Replace this process by the command."""
    try:
        words = build(argv, dict(os.environ))
    except ValueError as error:
        sys.exit(_fail(str(error)))
    for name in (GOALS, *POSITIONAL, *REPEATED, *FLAGS, *OTHERS):
        os.environ.pop(name, None)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        sys.exit(_fail(f"{words[0]} cannot be run: {error.strerror}; `make clean` and make again"))


def build(argv: list[str], values: dict[str, str]) -> list[str]:
    """Return the command's words. Raises ValueError for a value that is missing or cannot be split."""
    goals = split(GOALS, values)
    words = [word for word in argv if not word.startswith("+")]
    for wanted in argv:
        if wanted.startswith("+"):
            name = wanted[1:].removesuffix("!")
            found = _words_of(name, values, goals)
            if wanted.endswith("!") and not found:
                raise ValueError(MISSING[name].format(target=words[1]))
            words += found
    if goals:
        raise ValueError(f"`{goals[0]}` is too much here; name other values by their variable: `make help` shows them")
    return words


def _words_of(name: str, values: dict[str, str], goals: list[str]) -> list[str]:
    value = values.get(name, "").strip()
    if name == "files":
        found = split("scenario", values) + goals
        goals.clear()
        return found
    if name in POSITIONAL:
        return [value] if value else [goals.pop(0)] if goals else []
    if name in REPEATED:
        return [word for one in split(name, values) for word in (f"--{name}", one)]
    if name in FLAGS:
        return [f"--{name.replace('_', '-')}"] if value else []
    if name == "args":
        return split(name, values)
    return [f"--{name}", value] if value else []


def split(name: str, values: dict[str, str]) -> list[str]:
    """Return the words of a variable, as a shell would split them, but with nothing replaced."""
    try:
        return shlex.split(values.get(name, ""))
    except ValueError as error:
        raise ValueError(f"{name}={values[name]}: {str(error).lower()}") from error


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    main(sys.argv[1:])
