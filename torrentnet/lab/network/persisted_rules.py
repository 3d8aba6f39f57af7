"""The network rules of a lab that stays up after its command has ended.

The rules are kept for nodes that a user starts again by hand. A container that starts anew has a new network namespace
without the rules of the scenario's links. While a scenario runs, the lab restores the rules of the nodes that it
starts; afterwards no process watches. So the lab writes a file with the rules of each node and the node's incarnation.
A later command compares the incarnations, and restores the rules of the nodes that were started again.

``.torrentnet/labs/PROJECT/network.json``: node to ``incarnation``, ``script`` and ``others``. The link overrides that
the rules come from are in ``faults.json`` beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.network.render import SHELL
from torrentnet.lab.paths import lab_directory, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine

FILE: Final = "network.json"


@dataclass(frozen=True, slots=True)
class PersistedRules:
    """The rules of one node."""

    incarnation: str
    """The node's incarnation that has them, see :meth:`Engine.incarnation`; empty where they are not in force."""
    script: str
    """Sets them whatever is there now; for a shell with all capabilities in the node."""
    others: tuple[tuple[str, str, int], ...] | None = None
    """What 127.0.0.1 means in the node, see :class:`LoopbackTranslation`; None where that is the node alone."""


def persist_rules(home: Path, project: str, nodes: Mapping[str, PersistedRules]) -> None:
    """Write down the rules in force in a lab's nodes."""
    path = _path(home, project)
    if nodes or path.exists():
        with _lock(path.parent):
            _write(path, nodes)


def read_rules(home: Path, project: str) -> dict[str, PersistedRules]:
    """Return the rules in force in a lab's nodes; none for nodes without rules.

    Raises LabError where the file with the rules cannot be read.
    """
    return _read(_path(home, project))


def restore_rules(home: Path, project: str, engine: Engine, nodes: Iterable[str]) -> dict[str, str]:
    """Set the rules of the nodes that a user has started again.

    All of ``nodes`` are alive. Returns the nodes that were started again since their rules were last set, and why each
    one's rules could not be set, empty where they are set. A node whose rules could not be set is tried again at the
    next call. Raises LabError where the file with the rules cannot be read.
    """
    path = _path(home, project)
    restored: dict[str, str] = {}
    with _lock(path.parent):
        rules = _read(path)
        for node in nodes:
            if node not in rules:
                continue
            try:
                incarnation = engine.incarnation(node)
            except EngineError:
                continue  # it has ended meanwhile
            if incarnation == rules[node].incarnation:
                continue
            restored[node] = _set(engine, node, rules[node].script)
            if not restored[node]:
                rules[node] = replace(rules[node], incarnation=incarnation)
        if any(not problem for problem in restored.values()):
            _write(path, rules)
    return restored


def _set(engine: Engine, node: str, script: str) -> str:
    try:
        if engine.state(node).status is NodeStatus.PAUSED:
            return "it is paused"
        result = engine.exec_root(node, SHELL, script)
    except EngineError as error:
        return error.message
    return "" if result.status == 0 else result.output.strip() or f"status {result.status}"


def _path(home: Path, project: str) -> Path:
    return lab_directory(home, project) / FILE


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep other processes from restoring rules at the same time.

    Where the lab is gone, there is nothing to lock.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _write(path: Path, nodes: Mapping[str, PersistedRules]) -> None:
    write_atomically(path, json.dumps({node: asdict(rules) for node, rules in nodes.items()}, indent=2) + "\n")


def _parse(row: Mapping[str, Any]) -> PersistedRules:
    others = row.get("others")
    known = None if others is None else tuple((str(name), str(address), int(port)) for name, address, port in others)
    return PersistedRules(str(row["incarnation"]), str(row["script"]), known)


def _read(path: Path) -> dict[str, PersistedRules]:
    """Return the rules in the file; none where there is no file.

    There is no file where there is no such lab, or where the lab was left up without rules. Raises LabError where the
    file cannot be read.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {node: _parse(row) for node, row in rows.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"the rules of the nodes' links cannot be read: {error}") from error
