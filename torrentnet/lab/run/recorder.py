"""The record of a run: every line as it arrives, every event in its order."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.errors import LabError
from torrentnet.lab.run.event_order import HOLD, EventOrder
from torrentnet.lab.run.facts.typed_fields import typed_fields
from torrentnet.runtime.events import format_timestamp
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from torrentnet.lab.engines.types import LogLine
    from torrentnet.lab.run.facts.line_reader import ReadLine
    from torrentnet.runtime.events import Event

LATEST: Final = "latest"
MAX_PER_SECOND: Final = 100
"""Runs of one scenario that begin in the same second."""
LAB_NODE: Final = "lab"
"""In place of a node's name, for what the lab itself does."""
MAX_PENDING_CHARS: Final = 64 * 2**20
"""Characters that wait for a slow disk, of all nodes' lines, and of all events."""
MAX_EVENT_CHARS: Final = MAX_PENDING_CHARS // 4
"""Characters of one node's events, whatever its limit."""
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
    the reason, and nothing more is written. Lines of a node that prints faster than the disk writes are dropped, and
    a line in their place says how many. Calls after :meth:`close` have no effect.
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
        self._on_row: Callable[[str], None] | None = None
        self._on_line: Callable[[str, float, str], None] | None = None
        self._changed = threading.Condition()
        share = MAX_PENDING_CHARS // max(1, len(self._logs))
        self._pending = {file: _PendingLines(share) for file in self._logs.values()}
        self._order = EventOrder()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def set_epoch(self, epoch: float) -> None:
        """Set the time t = 0, in seconds since the epoch.

        From now on each event has its time after t = 0, too.
        """
        self._epoch = epoch

    def listen(self, on_row: Callable[[str], None], on_line: Callable[[str, float, str], None]) -> None:
        """Pass on what is recorded from now on.

        It is passed on at once, so that events may arrive a moment out of order.

        ``on_row`` is called with each line of ``events.jsonl``, ``on_line`` with the node, the time and the words of
        each line of a log. Neither may wait or raise.
        """
        self._on_row, self._on_line = on_row, on_line

    def seconds_after_zero(self, moment: float) -> float | None:
        """Return a steady time as seconds after t = 0; None before that is set."""
        return None if self._epoch is None else round(moment - self._epoch, 3)

    def write_line(self, read: ReadLine) -> None:
        """Record a line of a node, and the event that the line holds, if any."""
        line = read.line
        if read.words is not None:
            if self._on_line is not None:
                self._on_line(line.node, line.time, read.words)
            with self._changed:
                if not (self._lost or self._closed):
                    self._pending[self._logs[line.node]].add(read.words + "\n")
                    self._changed.notify()
        if read.event is not None:
            self._add_node_event(line, read.event)

    def _add_node_event(self, line: LogLine, event: Event) -> None:
        """Record a node's event, as long as the node does not flood."""
        limit = min(self._limits.get(line.node, sys.maxsize), MAX_EVENT_CHARS)
        before = self._event_sizes.get(line.node, 0)
        if before > limit:
            return
        row = self._event_row(line.node, line.time, event.name, typed_fields(event))
        self._event_sizes[line.node] = before + len(row)
        if before + len(row) > limit:
            self.write_lab_event("events_dropped", line.time, of=line.node, limit=limit)
        else:
            self._add_event(row, line.time)

    def write_lab_event(self, name: str, at: float | None = None, /, **fields: object) -> None:
        """Record something that the lab has done; ``at`` is when it began, now by default."""
        when = STEADY.now() if at is None else at
        self._add_event(self._event_row(LAB_NODE, when, name, fields), when)

    def _event_row(self, node: str, when: float, name: str, fields: dict[str, object]) -> str:
        row: dict[str, object] = {"time": format_timestamp(STEADY.time_of_day(when))}
        if self._epoch is not None:
            row["t"] = round(when - self._epoch, 3)
        row |= {"node": node, "event": name, **({"fields": fields} if fields else {})}
        return json.dumps(row, ensure_ascii=False) + "\n"

    def _add_event(self, row: str, when: float) -> None:
        if self._on_row is not None:
            self._on_row(row)
        with self._changed:
            if self._lost or self._closed:
                return
            if self._order.chars + len(row) <= MAX_PENDING_CHARS:
                self._order.add(when, row)
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
                while not (any(self._pending.values()) or self._closed or self._order.due(STEADY.now())):
                    self._changed.wait(self._order.wait_time(STEADY.now()))
                pending = {file: lines.take() for file, lines in self._pending.items() if lines}
                if events := self._order.take(math.inf if self._closed else STEADY.now() - HOLD):
                    pending[self._events] = "".join(events)
                if not pending:
                    break
            try:
                for file, text in pending.items():
                    file.append(text.encode("utf-8", "backslashreplace"))
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


class _PendingLines:
    """One node's lines that wait to be written.

    The newest ones are kept, and the number of those that were dropped.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: deque[str] = deque()
        self._chars = self._dropped = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, line: str) -> None:
        self._lines.append(line)
        self._chars += len(line)
        while self._chars > self._most:
            self._chars -= len(self._lines.popleft())
            self._dropped += 1

    def take(self) -> str:
        text = "".join(self._lines)
        if self._dropped:
            text = f"({self._dropped} lines are missing here: the disk is slower than this output)\n{text}"
        self._lines.clear()
        self._chars = self._dropped = 0
        return text


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
