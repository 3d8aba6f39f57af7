"""What a run leaves behind while it goes on: every line and every event, written as it comes."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from torrentnet.lab.errors import LabError
from torrentnet.lab.events import Event, show_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torrentnet.lab.engines.types import LogLine

LATEST = "latest"
MAX_PER_SECOND = 100
LAB_NODE = "lab"
"""Who says what the lab itself has done."""


def make_run_directory(runs: Path, scenario: str) -> Path:
    """A new directory ``<runs>/<scenario>/<start time>`` for one lab, and a link ``latest`` beside it."""
    path = make_dated_directory(runs, scenario)
    (path / "logs").mkdir()
    return path


def make_dated_directory(runs: Path, scenario: str) -> Path:
    """The same without what a lab needs in it."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    folder = runs / scenario
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, MAX_PER_SECOND):
            path = folder / (stamp if number == 1 else f"{stamp}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            _link_latest(folder, path.name)
            return path
    except OSError as error:
        raise LabError(
            f"the run's directory cannot be created: {error.strerror}: {error.filename}",
            hint="`--runs DIR` names another place",
        ) from error
    raise LabError(f"{MAX_PER_SECOND} runs began in the same second in {folder}")


def _link_latest(folder: Path, name: str) -> None:
    temporary = folder / f".{LATEST}.{name}"
    temporary.symlink_to(name)
    temporary.replace(folder / LATEST)


class Recorder:
    """Writes ``logs/<node>.log`` (lines as they were printed) and ``events.jsonl`` (events of all nodes and the lab, on
    the engine's clock). Safe to call from any thread; what comes after ``close`` is dropped.
    """

    def __init__(self, directory: Path, nodes: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._epoch: float | None = None
        self._events: IO[str] = (directory / "events.jsonl").open("w", encoding="utf-8", buffering=1)
        self._logs: dict[str, IO[str]] = {
            node: (directory / "logs" / f"{node}.log").open("w", encoding="utf-8", buffering=1) for node in nodes
        }

    def begin(self, epoch: float) -> None:
        """t = 0 was then; events from now on carry their time after it too."""
        self._epoch = epoch

    def take(self, line: LogLine, event: Event | None) -> None:
        """A node has printed a line."""
        with self._lock:
            if self._events.closed:
                return
            self._logs[line.node].write(line.text + "\n")
            if event is not None:
                self._write(line.node, line.time, event.name, dict(event.fields))

    def lab(self, name: str, **fields: object) -> None:
        """The lab has done something."""
        with self._lock:
            if not self._events.closed:
                self._write(LAB_NODE, time.time(), name, fields)

    def _write(self, node: str, when: float, name: str, fields: dict[str, object]) -> None:
        row: dict[str, object] = {"time": show_time(when)}
        if self._epoch is not None:
            row["t"] = round(when - self._epoch, 3)
        row |= {"node": node, "event": name, **({"fields": fields} if fields else {})}
        self._events.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            for file in (self._events, *self._logs.values()):
                file.close()
