"""Packets and events in the order of their times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.lab.capture.frames_kit import udp_frame
from tests.unit.lab.capture.pcapng_reader import ReadFile, read_pcapng
from torrentnet.lab.capture import merger as module
from torrentnet.lab.capture import pcapng
from torrentnet.lab.capture.fault_marks import FaultHistory
from torrentnet.lab.capture.frames import NodeAddresses
from torrentnet.lab.capture.merger import CaptureMerger

if TYPE_CHECKING:
    import pytest

MS = 1_000_000
TO_A = udp_frame("10.0.0.2", "10.0.0.1")
TO_B = udp_frame("10.0.0.1", "10.0.0.2")


class _Merged:
    def __init__(self) -> None:
        self.faults = FaultHistory()
        self.written = [pcapng.section_block("", "") + pcapng.interface_block("lab", "", 256)]
        self.merger = CaptureMerger(self.written.append, NodeAddresses({"a": "10.0.0.1", "b": "10.0.0.2"}), self.faults)

    def packet(self, ms: int, data: bytes = TO_A) -> None:
        self.merger.add_packet(ms * MS, len(data), data)

    def event(self, ms: int, node: str = "", text: str = "") -> None:
        self.merger.add_event(ms * MS, pcapng.journal_block(ms * MS, {"MESSAGE": text}), node, text)

    @property
    def file(self) -> ReadFile:
        return read_pcapng(b"".join(self.written))


def test_rows_are_in_the_order_of_their_times() -> None:
    merged = _Merged()
    merged.packet(300)
    merged.event(200)
    merged.packet(100)
    merged.merger.flush(250 * MS)
    assert merged.file.rows == [100_000, 200_000]
    merged.event(260)
    merged.merger.flush()
    assert merged.file.rows == [100_000, 200_000, 260_000, 300_000]
    assert (merged.merger.counts.packets, merged.merger.counts.events) == (2, 2)


def test_an_event_is_a_comment_on_the_packet_that_its_node_received_before() -> None:
    merged = _Merged()
    merged.packet(100)
    merged.packet(101, TO_B)
    merged.event(110, "a", "a: picked peer=b")
    merged.event(400, "a", "a: long after")
    merged.merger.flush()
    assert [packet.comments for packet in merged.file.packets] == [["a: picked peer=b"], []]


def test_stopped_and_doubtful_packets_are_marked_and_counted() -> None:
    merged = _Merged()
    row = {"name": "cut", "pairs": [["b", "a"]], "qualities": {"cut": True}, "began": 0.15, "applied": 0.25}
    merged.faults.add_row(row, 0)
    for ms in (100, 200, 300):
        merged.packet(ms)
        merged.packet(ms, TO_B)
    merged.merger.flush()
    marks = [packet.comments for packet in merged.file.packets if packet.comments]
    assert len(marks) == 2
    assert marks[1] == ["stopped on arrival at a by cut"]
    assert (merged.merger.counts.stopped, merged.merger.counts.doubtful) == (1, 1)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 10 * len(TO_A))
    merged = _Merged()
    for ms in range(40):
        merged.packet(100 * ms)
    assert merged.merger.counts.hurried
    assert len(merged.file.packets) >= 25
    merged.merger.flush()
    assert merged.file.rows == sorted(merged.file.rows)
    assert len(merged.file.packets) == 40
