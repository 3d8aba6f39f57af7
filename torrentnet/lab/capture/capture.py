"""A running capture: a thread that reads sniffer and record, and writes the file."""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torrentnet import __version__
from torrentnet.lab.capture import pcapng
from torrentnet.lab.capture.event_rows import event_block, event_text
from torrentnet.lab.capture.fault_marks import FaultHistory
from torrentnet.lab.capture.frames import NodeAddresses
from torrentnet.lab.capture.merger import CaptureMerger, MergeCounts
from torrentnet.lab.capture.record_tail import LAB, MILLISECOND, SECOND, RecordTail, planned_links
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.runtime.signals import block_signals
from torrentnet.sniffer.packet_ring import FULL
from torrentnet.sniffer.packet_stream import RecordKind, RecordReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torrentnet.lab.capture.block_file import BlockFile
    from torrentnet.lab.capture.record_tail import RecordedEvent
    from torrentnet.lab.engines.types import Sniffer
    from torrentnet.sniffer.packet_stream import SniffedRecord

DEFAULT_SNAP: Final = 256
"""Bytes of each frame that are kept: all headers, and the messages between peers and tracker."""
FULL_SNAP: Final = FULL
HOLD: Final = 3.5
"""Seconds that packets wait for the record, whose own events wait up to 2 s for earlier ones."""
MAX_HOLD: Final = 15.0
"""Seconds that packets wait for a fault that takes long to be applied."""
TICK: Final = 0.2
READY_TIMEOUT: Final = 20.0
STOP_TIMEOUT: Final = 10.0
"""For the sniffer to say that it has ended."""
SETTLE: Final = 2.6
"""Seconds after the last packet in which the record may still say something about it."""
MAX_TOLD: Final = 100_000
"""Events that wait for the thread."""
NETWORK_KINDS: Final = frozenset({"partition", "isolate", "impair", "heal"})
QUIET: Final = frozenset({"progress"})
"""Events that no single packet has caused."""
NO_RIGHT_HINT: Final = (
    "where nodes share the loopback interface, capturing needs root; `torrentnet doctor` says what nodes of their own"
    " networks need"
)


@dataclass(frozen=True, slots=True)
class CapturedLab:
    """The lab whose packets are captured."""

    scenario: str
    project: str
    nodes: Mapping[str, str]
    """Name to IPv4 address."""
    record: Path
    """The run's directory."""
    snap: int = DEFAULT_SNAP


@dataclass(slots=True)
class CaptureResult:
    """What a capture has, and why it has ended."""

    counts: MergeCounts = field(default_factory=MergeCounts)
    lost: int = 0
    """Packets that came too fast."""
    lab_ended: bool = False
    error: LabError | OSError | None = None
    """What has ended it early."""


class Capture:
    """The capture of one lab, from :meth:`start` to :meth:`finish`."""

    def __init__(self, lab: CapturedLab, sniffer: Sniffer, file: BlockFile, *, own_events: bool = True) -> None:
        """Capture into a file. The object owns the sniffer and the file.

        ``own_events``: the nodes' events are those of the record; otherwise they come by :meth:`tell`.
        """
        self.result = CaptureResult()
        self._lab = lab
        self._sniffer = sniffer
        self._file = file
        self._own_events = own_events
        self._addresses = NodeAddresses(lab.nodes)
        self._faults = FaultHistory()
        self._merger = CaptureMerger(file.write, self._addresses, self._faults)
        self.result.counts = self._merger.counts
        self._tail = RecordTail(lab.record)
        self._told: deque[tuple[int, str, str, str]] = deque(maxlen=MAX_TOLD)
        self._began = 0
        self._zero: int | None = None
        self._planned = False
        self._applying: dict[object, int] = {}
        """When faults began that have not been applied yet."""
        self._complete = False
        """Whether the sniffer has ended because it was told to."""
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._sniffed = threading.Event()
        self._settled = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    def start(self) -> None:
        """Begin; returns when packets are seen. Raises LabError or OSError."""
        self._began = time.time_ns()
        self._thread.start()
        if not self._ready.wait(READY_TIMEOUT):
            self.stop()
            self._sniffer.close()
            raise EngineError(f"no packets can be captured: the sniffer did not start within {READY_TIMEOUT:g} s")
        if self.result.error is not None:
            self.finish()
            raise self.result.error

    def tell(self, moment: float, node: str, name: str, fields: Mapping[str, object]) -> None:
        """Add an event that is not in the record. Safe from any thread.

        ``moment`` is in seconds since the epoch.
        """
        time_ns = round(moment * SECOND)
        if time_ns >= self._began and (text := event_text(node, name, fields)):
            self._told.append((time_ns, node, name, text))

    def stop(self) -> None:
        """See no more packets; returns when the last one has been read.

        The record may still say something about them.
        """
        self._stopping.set()
        self._sniffed.wait(STOP_TIMEOUT)

    def wait(self, timeout: float) -> bool:
        """Return whether the file is complete, after ``timeout`` seconds at most."""
        return self._done.wait(timeout)

    def finish(self) -> CaptureResult:
        """Complete the file with what the record has now, and close it."""
        self._stopping.set()
        self._settled.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT)  # longer where nobody reads a pipe; the thread ends with the process
        return self.result

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        block_signals()
        try:
            self._write_head()
            self._sniff()
            self._sniffed.set()
            self.result.lab_ended = not self._complete
            if self._complete:
                self._settled.wait(SETTLE if not self._own_events else None)
            self._read_events()
            self._merger.flush()
            self._write_statistics()
        except (LabError, OSError) as error:
            self.result.error = error
        except ValueError as error:
            self.result.error = EngineError(f"the packets cannot be read: {error}")
        finally:
            self._tail.close()
            self._sniffer.close()
            self._file.close()
            for event in (self._ready, self._sniffed, self._done):
                event.set()

    def _write_head(self) -> None:
        lab = self._lab
        description = f"the network of all nodes of {lab.scenario}"
        self._file.write(
            pcapng.section_block(f"torrentnet {__version__}", f"{lab.scenario} ({lab.project}), record: {lab.record}")
            + pcapng.interface_block("lab", description, lab.snap)
            + pcapng.names_block({address: name for name, address in lab.nodes.items() if address})
        )

    def _sniff(self) -> None:
        """Read packets until the sniffer ends."""
        reader = RecordReader()
        flush_at = time.monotonic() + TICK
        stopped_at = 0.0
        while (data := self._sniffer.read(TICK)) != b"":
            for record in reader.feed(data or b""):
                self._take(record)
            now = time.monotonic()
            if now >= flush_at:
                self._read_events()
                self._merger.flush(self._known_until())
                flush_at = time.monotonic() + TICK
            if self._stopping.is_set():
                if not stopped_at:
                    stopped_at = now
                    self._sniffer.stop()
                elif now >= stopped_at + STOP_TIMEOUT:
                    self._complete = True
                    return

    def _known_until(self) -> int:
        """Return until when all events are known, in nanoseconds since the epoch."""
        now = time.time_ns()
        beginning = (began for began in self._applying.values() if began > now - round(MAX_HOLD * SECOND))
        return min([now - round(HOLD * SECOND), *beginning])

    def _take(self, record: SniffedRecord) -> None:
        kind = record.kind
        if kind == RecordKind.PACKET:
            self._merger.add_packet(record.time, record.number, record.data)
        elif kind == RecordKind.READY:
            self._ready.set()
        elif kind == RecordKind.LOST:
            self.result.lost += record.number
            text = f"{record.number} packets are missing about here: they came faster than they could be captured"
            self._merger.add_event(record.time, event_block(record.time, LAB, "packets_lost", text, self._zero))
        elif kind == RecordKind.END:
            self._complete = True
        else:
            raise EngineError(
                f"no packets can be captured: {record.data.decode('utf-8', 'replace')}",
                hint=NO_RIGHT_HINT if record.number in {errno.EPERM, errno.EACCES} else "",
            )

    def _read_events(self) -> None:
        """Take what the record and the engine have said since the last call."""
        if not self._planned and (links := planned_links(self._lab.record)):
            self._planned = True
            self._faults.add_links(links)
        for event in self._tail.read():
            self._zero = event.zero if event.zero is not None else self._zero
            if event.node == LAB and event.zero is not None:
                self._add_fault(event, event.zero)
            if event.time < self._began or not (self._own_events or (event.node == LAB and event.name != "node")):
                continue
            if text := event_text(event.node, event.name, event.fields):
                self._add_event(event.time, event.node, event.name, text)
        while self._told:
            self._add_event(*self._told.popleft())

    def _add_fault(self, event: RecordedEvent, zero: int) -> None:
        began = event.fields.get("began")
        if event.name == "begun" and event.fields.get("kind") in NETWORK_KINDS:
            self._applying[began] = event.time - 2 * MILLISECOND
        elif event.name == "applied":
            self._applying.pop(began, None)
            self._faults.add_row(event.fields, zero)

    def _add_event(self, moment: int, node: str, name: str, text: str) -> None:
        block = event_block(moment, node, name, text, self._zero)
        comment = f"{node}: {text}" if node in self._lab.nodes and name not in QUIET else ""
        self._merger.add_event(moment, block, node, comment)

    def _write_statistics(self) -> None:
        counts = self._merger.counts
        self._file.write(pcapng.statistics_block(time.time_ns(), counts.packets + self.result.lost, self.result.lost))


def describe(result: CaptureResult, name: str) -> list[str]:
    """Return the lines that a person reads about a capture."""
    counts = result.counts
    ending = f"; it ends early: {_reason(result.error)}" if result.error is not None else ""
    lines = [f"captured {_count(counts.packets, 'packet')} and {_count(counts.events, 'event')}: {name}{ending}"]
    if counts.stopped or counts.doubtful:
        lines.append(
            f"faults stopped {_count(counts.stopped, 'packet')}, and may have stopped or lost {counts.doubtful} more"
        )
    if result.lost:
        lines.append(f"{_count(result.lost, 'packet')} came faster than they could be captured, and are missing")
    if counts.hurried:
        lines.append(
            f"{_count(counts.hurried, 'packet')} had to be written before the faults of their time were known, and may"
            " lack a mark"
        )
    return lines


def _reason(error: LabError | OSError) -> str:
    return error.message if isinstance(error, LabError) else error.strerror or str(error)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
