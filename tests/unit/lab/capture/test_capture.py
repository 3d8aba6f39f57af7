"""A capture with a sniffer whose stream the test writes."""

from __future__ import annotations

import errno
import json
import os
import queue
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab import golden
from tests.unit.lab.capture.frames_kit import udp_frame
from tests.unit.lab.capture.pcapng_reader import ReadFile, read_pcapng
from torrentnet.lab.capture.block_file import BlockFile, open_given
from torrentnet.lab.capture.capture import Capture, CapturedLab, describe
from torrentnet.lab.errors import EngineError
from torrentnet.runtime.events import format_timestamp
from torrentnet.sniffer.packet_stream import RecordKind, pack_record

if TYPE_CHECKING:
    from pathlib import Path

FRAME = udp_frame("10.0.0.2", "10.0.0.1", b"hello")
NODES = {"a": "10.0.0.1", "b": "10.0.0.2", "late": ""}
TIMEOUT = 60.0


class ScriptedSniffer:
    """A sniffer that sees what the test says."""

    def __init__(self) -> None:
        self._stream: queue.Queue[bytes] = queue.Queue()
        self.closed = False
        self.write(RecordKind.READY)

    def write(self, kind: RecordKind, at: float | None = None, number: int = 0, data: bytes = b"") -> None:
        """Add a record; ``at`` is in seconds since the epoch."""
        moment = time.time_ns() if at is None else round(at * 1e9)
        self._stream.put(pack_record(kind, moment, number, data))

    def end(self) -> None:
        """End as a lab that is removed does."""
        self._stream.put(b"")

    def read(self, timeout: float) -> bytes | None:
        """See :class:`torrentnet.lab.engines.types.Sniffer`."""
        try:
            return self._stream.get(timeout=timeout)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """See :class:`torrentnet.lab.engines.types.Sniffer`."""
        self.write(RecordKind.END)
        self.end()

    def close(self) -> None:
        """See :class:`torrentnet.lab.engines.types.Sniffer`."""
        self.closed = True


class _World:
    def __init__(self, folder: Path, file: BlockFile | None = None, *, own_events: bool = True) -> None:
        self.path = folder / "a.pcapng"
        self.sniffer = ScriptedSniffer()
        self.zero = round(time.time(), 3)
        lab = CapturedLab("tiny", "torrentnet-tiny-1", NODES, folder)
        self.capture = Capture(lab, self.sniffer, file or open_given(self.path), own_events=own_events)
        self._record = folder / "events.jsonl"

    def packet(self, t: float) -> None:
        self.sniffer.write(RecordKind.PACKET, self.zero + t, len(FRAME), FRAME)

    def event(self, t: float, node: str, name: str, /, **fields: Any) -> None:
        row = {"time": format_timestamp(self.zero + t), "t": round(t, 3), "node": node, "event": name, "fields": fields}
        with self._record.open("a") as file:
            file.write(json.dumps(row) + "\n")

    @property
    def file(self) -> ReadFile:
        return read_pcapng(self.path.read_bytes())


def test_packets_events_and_marks_are_one_file(tmp_path: Path) -> None:
    world = _World(tmp_path)
    world.capture.start()
    for t in (0.1, 0.5, 1.5):
        world.packet(t)
    cut = {"kind": "partition", "name": "cable-cut", "text": "partition a | b", "began": 1.0}
    world.event(0.11, "a", "joined", peer="b")
    world.event(1.0, "lab", "begun", **cut)
    links = {"pairs": [["b", "a"]], "qualities": {"cut": True}, "fault": 1}
    world.event(1.1, "lab", "applied", **cut, **links, applied=1.1)
    world.capture.stop()
    result = world.capture.finish()
    assert result.error is None
    assert not result.lab_ended
    assert world.sniffer.closed
    found = world.file
    assert found.names == {"10.0.0.1": "a", "10.0.0.2": "b"}
    assert [packet.comments for packet in found.packets] == [
        ["a: joined peer=b"],
        [],
        ["stopped on arrival at a by cable-cut"],
    ]
    assert [entry["MESSAGE"].partition("  ")[2] for entry in found.entries] == [
        "a: joined peer=b",
        "lab: partition a | b",
        "lab: in force now: partition a | b",
    ]
    assert found.rows == sorted(found.rows)
    assert found.dropped == 0
    assert describe(result, "a.pcapng") == [
        "captured 3 packets and 3 events: a.pcapng",
        "faults stopped 1 packet, and may have stopped or lost 0 more",
    ]


def test_lost_packets_are_a_row_a_count_and_a_line(tmp_path: Path) -> None:
    world = _World(tmp_path)
    world.capture.start()
    world.packet(0.1)
    world.sniffer.write(RecordKind.LOST, world.zero + 0.2, 7)
    world.capture.stop()
    result = world.capture.finish()
    assert world.file.dropped == result.lost == 7
    (entry,) = world.file.entries
    assert "7 packets are missing about here" in entry["MESSAGE"]
    assert describe(result, "x")[1] == "7 packets came faster than they could be captured, and are missing"


def test_events_of_a_lab_without_a_recorder_are_told(tmp_path: Path) -> None:
    world = _World(tmp_path, own_events=False)
    world.event(0.1, "a", "recorded", x=1)
    world.event(0.2, "lab", "begun", text="kill b")
    world.capture.start()
    world.packet(0.1)
    world.capture.tell(world.zero - 60, "a", "before", {})
    world.capture.tell(world.zero + 0.3, "a", "said", {"x": 1})
    world.capture.stop()
    world.capture.finish()
    texts = [entry["MESSAGE"].partition("  ") for entry in world.file.entries]
    assert [text for _, _, text in texts] == ["lab: kill b", "a: said x=1"]
    assert [time for time, _, _ in texts] == ["t = 0.201 s", "t = 0.300 s"]


def test_a_lab_that_ends_leaves_a_whole_file(tmp_path: Path) -> None:
    world = _World(tmp_path)
    world.capture.start()
    world.packet(0.1)
    world.sniffer.end()
    assert world.capture.wait(TIMEOUT)
    assert world.capture.result.lab_ended
    assert len(world.file.packets) == 1


@pytest.mark.parametrize(
    ("name", "number", "reason"),
    [("not_permitted", errno.EPERM, "Operation not permitted"), ("no_device", errno.ENODEV, "No such device")],
)
def test_a_sniffer_that_sees_no_packets_is_an_error(tmp_path: Path, name: str, number: int, reason: str) -> None:
    world = _World(tmp_path)
    world.sniffer = ScriptedSniffer()
    world.sniffer._stream.get()
    world.sniffer.write(RecordKind.FAILED, number=number, data=reason.encode())
    lab = CapturedLab("tiny", "torrentnet-tiny-1", NODES, tmp_path)
    with pytest.raises(EngineError) as caught:
        Capture(lab, world.sniffer, open_given(world.path)).start()
    golden.check(f"error_capture_{name}.txt", f"{caught.value.message}\n    {caught.value.hint}".rstrip() + "\n")
    assert world.sniffer.closed


def test_what_is_no_stream_ends_the_capture(tmp_path: Path) -> None:
    world = _World(tmp_path)
    world.capture.start()
    world.sniffer._stream.put(b"Traceback (most recent call last):\n  ...")
    assert world.capture.wait(TIMEOUT)
    (line,) = describe(world.capture.finish(), "x")
    assert line.endswith("it ends early: the packets cannot be read: not a stream of the sniffer")


def test_a_reader_that_goes_ends_the_capture(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    world = _World(tmp_path, BlockFile(writing, "-"))
    world.capture.start()
    os.close(reading)
    world.packet(-100)
    assert world.capture.wait(TIMEOUT)
    assert isinstance(world.capture.result.error, BrokenPipeError)
    assert world.sniffer.closed
