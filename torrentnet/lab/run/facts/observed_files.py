"""The files of a node whose program is observed, hashed by the observer.

Tested by tests/unit/lab/verdict/test_observed_checks.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.engines.interface import Engine

HASH_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class FilesAnswer:
    """What an observer has found."""

    hashes: Mapping[str, str]
    """SHA-256 of each file, in hexadecimal, by its path below the node's directory."""
    problem: str = ""
    """Why nothing is known; empty where the files are known."""


def observed_files(engine: Engine, node: str, size: int) -> FilesAnswer:
    """Return the files of so many bytes in a node.

    Raises EngineError where the node is down.
    """
    answer = engine.exec(node, ["console", "observer", "files", str(size)], timeout=HASH_TIMEOUT)
    if answer.status != 0:
        return FilesAnswer({}, f"the observer's answer is: {answer.output}")
    hashes: dict[str, str] = {}
    for line in answer.stdout.splitlines():
        try:
            row = json.loads(line)
            hashes[str(row["path"])] = str(row["sha256"])
        except (ValueError, KeyError, TypeError):
            return FilesAnswer({}, f"the observer's answer cannot be read: {line}")
    return FilesAnswer(hashes)
