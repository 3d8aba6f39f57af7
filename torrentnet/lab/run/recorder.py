"""The record of a run: every line and every event, written as it arrives."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Final

from torrentnet.lab.errors import LabError
from torrentnet.runtime.events import Event, format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torrentnet.lab.engines.types import LogLine

LATEST: Final = "latest"
MAX_PER_SECOND: Final = 100
"""Runs of one scenario that begin in the same second."""
LAB_NODE: Final = "lab"
"""In place of a node's name, for what the lab itself does."""


def make_run_directory(runs: Path, scenario: str) -> Path:
    """Create the directory of one lab's record.

    It is ``<runs>/<scenario>/<start time>``, with a link ``latest`` beside it.
    """
    path = make_dated_directory(runs, scenario)
    (path / "logs").mkdir()
    return path


def make_dated_directory(runs: Path, scenario: str) -> Path:
    """Create a directory that is named after the current time.

    It is ``<runs>/<scenario>/<start time>``, with a link ``latest`` beside it. Raises LabError.
    """
    # No colon: Compose separates files with it.
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
            temporary = folder / f".{LATEST}.{path.name}"
            temporary.symlink_to(path.name)
            temporary.replace(folder / LATEST)
            return path
    except OSError as error:
        raise LabError(
            f"the run's directory cannot be created: {error.strerror}: {error.filename}",
            hint="name another place with `--runs DIR`",
        ) from error
    raise LabError(f"{MAX_PER_SECOND} runs began in the same second in {folder}")


class Recorder:
    """The writer of the nodes' logs and of the file of all events.

    The lines are in ``logs/<node>.log``, the events of all nodes and of the lab in ``events.jsonl``. Times are on the
    engine's clock. Safe to call from any thread; calls after :meth:`close` have no effect.
    """

    def __init__(self, directory: Path, nodes: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._epoch: float | None = None
        self._events: IO[str] = (directory / "events.jsonl").open("w", encoding="utf-8", buffering=1)
        self._logs: dict[str, IO[str]] = {
            node: (directory / "logs" / f"{node}.log").open("w", encoding="utf-8", buffering=1) for node in nodes
        }

    def set_epoch(self, epoch: float) -> None:
        """Set the time t = 0, in seconds since the epoch.

        From now on each event has its time after t = 0, too.
        """
        self._epoch = epoch

    def write_line(self, line: LogLine, event: Event | None) -> None:
        """Record a line of a node, and the event that the line holds, if any."""
        with self._lock:
            if self._events.closed:
                return
            self._logs[line.node].write(line.text + "\n")
            if event is not None:
                self._write(line.node, line.time, event.name, dict(event.fields))

    def write_lab_event(self, name: str, **fields: object) -> None:
        """Record something that the lab has done."""
        with self._lock:
            if not self._events.closed:
                self._write(LAB_NODE, time.time(), name, fields)

    def _write(self, node: str, when: float, name: str, fields: dict[str, object]) -> None:
        row: dict[str, object] = {"time": format_timestamp(when)}
        if self._epoch is not None:
            row["t"] = round(when - self._epoch, 3)
        row |= {"node": node, "event": name, **({"fields": fields} if fields else {})}
        self._events.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for file in (self._events, *self._logs.values()):
                file.close()
