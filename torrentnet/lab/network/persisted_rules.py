"""The network of a lab that stays up when its command has ended: who is started again by hand gets its rules again.

A container that is started anew has a new network namespace, without the rules of the scenario's links. While the
scenario happens the lab sees to that for what the lab starts itself; afterwards nobody is there. So the lab writes down
what is set in whom, and in which of the node's lives; whoever looks at the lab later compares.

``.torrentnet/labs/PROJECT/network.json``: node -> ``life``, ``script``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.network.render import SHELL
from torrentnet.lab.paths import lab_directory, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine

FILE = "network.json"


@dataclass(frozen=True, slots=True)
class PersistedRules:
    """What is set in one node's network."""

    life: str
    """The node's life in which it was set, as the engine's ``life`` names it; empty where it is not in force."""
    script: str
    """Sets it, whatever is there now; for a shell with all capabilities in the node."""


def persist_rules(directory: Path, project: str, nodes: Mapping[str, PersistedRules]) -> None:
    """Write down what is in force in the nodes of a lab."""
    if nodes:
        _write(_path(directory, project), nodes)


def restore_rules(directory: Path, project: str, engine: Engine, nodes: Iterable[str]) -> dict[str, str]:
    """Set the rules of those of these nodes, up all of them, that were started again since.

    Answers with those nodes and, for each, why its rules could not be set; empty where they are set. A node whose rules
    could not be set is tried again the next time.
    """
    path = _path(directory, project)
    mended: dict[str, str] = {}
    with _lock(path.parent):
        kept = _read(path)
        for node in nodes:
            if node not in kept:
                continue
            try:
                life = engine.life(node)
            except EngineError:
                continue  # it has gone since it was seen
            if life == kept[node].life:
                continue
            mended[node] = _set(engine, node, kept[node].script)
            if not mended[node]:
                kept[node] = replace(kept[node], life=life)
        if any(not problem for problem in mended.values()):
            _write(path, kept)
    return mended


def _set(engine: Engine, node: str, script: str) -> str:
    try:
        if engine.state(node).status is NodeStatus.PAUSED:
            return "it is paused"
        answer = engine.exec_root(node, SHELL, script)
    except EngineError as error:
        return error.message
    return "" if answer.status == 0 else answer.output.strip() or f"status {answer.status}"


def _path(directory: Path, project: str) -> Path:
    return lab_directory(directory, project) / FILE


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """No other process mends meanwhile. Where the lab is gone, there is nothing to wait for."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _write(path: Path, nodes: Mapping[str, PersistedRules]) -> None:
    write_atomically(path, json.dumps({node: asdict(kept) for node, kept in nodes.items()}, indent=2) + "\n")


def _read(path: Path) -> dict[str, PersistedRules]:
    """Nothing where there is no such lab, or none that was kept with rules."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {node: PersistedRules(str(row["life"]), str(row["script"])) for node, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
