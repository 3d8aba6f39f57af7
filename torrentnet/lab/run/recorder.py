"""The record of a run: every line as it arrives, every event in its order."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.errors import LabError
from torrentnet.lab.run.event_order import HOLD, EventOrder
from torrentnet.runtime.events import format_timestamp
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from torrentnet.lab.engines.types import LogLine
    from torrentnet.lab.run.node_lines import ReadLine

LATEST: Final = "latest"
MAX_PER_SECOND: Final = 100
"""Runs of one scenario that begin in the same second."""
LAB_NODE: Final = "lab"
"""In place of a node's name, for what the lab itself does."""
MAX_PENDING_CHARS: Final = 64 * 2**20
"""Characters that wait for a slow disk."""
COPY_SIZE: Final = 1024 * 1024
CLOSE_TIMEOUT: Final = 30.0
"""For a disk that does not answer any more; the lab has been removed by then."""


def make_run_directory(runs: Path, scenario: str) -> Path:
    """Create the directory of one lab's record.

    It is ``<runs>/<scenario>/<start time>``, with a link ``latest`` beside it.
    """
    return make_dated_directory(runs, scenario)


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
            hint="set TORRENTNET_HOME to a directory that you may write, or move the records alone with `--runs DIR`",
        ) from error
    raise LabError(f"{MAX_PER_SECOND} runs began in the same second in {folder}")


class Recorder:
    """The writer of the nodes' logs and of the file of all events.

    The lines are in ``logs/<node>.log``, the events of all nodes and of the lab in ``events.jsonl``. Times are on the
    lab's clock. Safe to call from any thread, and no call waits for the disk or raises: a thread of its own writes.
    A file that cannot be written, or was removed, is opened again; where that fails, ``on_lost`` is called once with
    the reason, and nothing more is written. Calls after :meth:`close` have no effect.
    """

    def __init__(
        self,
        directory: Path,
        nodes: Iterable[str],
        on_lost: Callable[[str], None] = lambda _: None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """``limits`` are the most bytes of a node's log, and of its events."""
        self._limits = dict(limits or {})
        self._event_sizes: dict[str, int] = {}
        self._epoch: float | None = None
        self._on_lost = on_lost
        self._events = RecordFile(directory / "events.jsonl")
        self._logs = {
            node: RecordFile(directory / "logs" / f"{node}.log", self._limits.get(node, sys.maxsize)) for node in nodes
        }
        self._lost = self._closed = False
        self._changed = threading.Condition()
        self._pending: dict[RecordFile, list[str]] = {}
        self._pending_chars = 0
        self._order = EventOrder()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def set_epoch(self, epoch: float) -> None:
        """Set the time t = 0, in seconds since the epoch.

        From now on each event has its time after t = 0, too.
        """
        self._epoch = epoch

    def write_line(self, read: ReadLine) -> None:
        """Record a line of a node, and the event that the line holds, if any."""
        line, event = read.line, read.event
        if read.words is not None:
            self._add(self._logs[line.node], read.words)
        if event is not None and self._may_record(line):
            self._add_event(line.node, line.time, event.name, dict(event.fields))

    def _may_record(self, line: LogLine) -> bool:
        """Return whether a line's event is recorded, as long as the node does not flood."""
        size = self._event_sizes.get(line.node, 0) + len(line.text)
        self._event_sizes[line.node] = size
        return size <= self._limits.get(line.node, sys.maxsize)

    def write_lab_event(self, name: str, at: float | None = None, /, **fields: object) -> None:
        """Record something that the lab has done; ``at`` is when it began, now by default."""
        self._add_event(LAB_NODE, STEADY.now() if at is None else at, name, fields)

    def _add_event(self, node: str, when: float, name: str, fields: dict[str, object]) -> None:
        row: dict[str, object] = {"time": format_timestamp(STEADY.time_of_day(when))}
        if self._epoch is not None:
            row["t"] = round(when - self._epoch, 3)
        row |= {"node": node, "event": name, **({"fields": fields} if fields else {})}
        self._add(self._events, json.dumps(row, ensure_ascii=False), when)

    def _add(self, file: RecordFile, line: str, when: float | None = None) -> None:
        with self._changed:
            if self._lost or self._closed:
                return
            self._pending_chars += len(line)
            if self._pending_chars <= MAX_PENDING_CHARS:
                if when is None:
                    self._pending.setdefault(file, []).append(line + "\n")
                else:
                    self._order.add(when, line + "\n")
                self._changed.notify()
                return
        self._lose("the disk is slower than the output of the nodes")

    def _lose(self, reason: str) -> None:
        with self._changed:
            lost_before, self._lost = self._lost, True
        if not lost_before:
            self._on_lost(f"the record cannot be written: {reason}: {self._events.path.parent}")

    def _run(self) -> None:
        block_signals()
        while True:
            with self._changed:
                while not (self._pending or self._closed or self._order.due(STEADY.now())):
                    self._changed.wait(self._order.wait_time(STEADY.now()))
                pending, self._pending = self._pending, {}
                if events := self._order.take(math.inf if self._closed else STEADY.now() - HOLD):
                    pending[self._events] = events
                self._pending_chars = self._order.chars
                if not pending:
                    break
            try:
                for file, lines in pending.items():
                    file.append("".join(lines).encode("utf-8", "backslashreplace"))
            except OSError as error:
                self._lose(error.strerror or str(error))
        for file in (self._events, *self._logs.values()):
            file.close()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Write what is left, and close every file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)


class RecordFile:
    """A file that only grows, and is there again after somebody has removed it."""

    def __init__(self, path: Path, limit: int = sys.maxsize) -> None:
        """Create the file, of which the newest ``limit`` bytes are kept. Raises OSError."""
        self.path = path
        self._most = limit // 2
        """Bytes of the file, and of the one before it, ``<path>.1``."""
        self._size = 0
        self._descriptor = self._open()

    def append(self, data: bytes) -> None:
        """Append bytes.

        Raises OSError where the file cannot be written even after it was opened again.
        """
        if os.fstat(self._descriptor).st_nlink == 0:
            self._restore()
        if self._size + len(data) > self._most:
            self._set_aside()
            data = data[-self._most :]
        self._size += len(data)
        rest = memoryview(data)
        reopened = False
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                if reopened:
                    raise
                reopened = True
                broken, self._descriptor = self._descriptor, self._open()
                os.close(broken)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self.append(b"")
        os.close(self._descriptor)

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _set_aside(self) -> None:
        """Begin the file anew, and keep what it had as ``<path>.1``."""
        self.path.replace(f"{self.path}.1")
        full, self._descriptor, self._size = self._descriptor, self._open(), 0
        os.close(full)

    def _restore(self) -> None:
        """Create the removed file again, with all that was written so far."""
        removed, self._descriptor = self._descriptor, self._open()
        try:
            offset = 0
            while data := os.pread(removed, COPY_SIZE, offset):
                offset += len(data)
                while data:
                    data = data[os.write(self._descriptor, data) :]
        finally:
            os.close(removed)
