"""The records between the sniffer and the lab."""

from __future__ import annotations

import os

import pytest

from torrentnet.sniffer.packet_stream import MAX_DATA, RecordKind, RecordReader, pack_record

STREAM = b"".join(
    (
        pack_record(RecordKind.READY, 1),
        pack_record(RecordKind.PACKET, 2, 9000, b"first bytes"),
        pack_record(RecordKind.LOST, 3, 7),
        pack_record(RecordKind.END, 4),
    )
)
RECORDS = [(1, 1, 0, b""), (2, 2, 9000, b"first bytes"), (3, 3, 7, b""), (4, 4, 0, b"")]


@pytest.mark.parametrize("step", [1, 3, 20, len(STREAM)])
def test_records_are_read_in_any_portions(step: int) -> None:
    reader = RecordReader()
    found = [record for at in range(0, len(STREAM), step) for record in reader.feed(STREAM[at : at + step])]
    assert found == RECORDS


def test_what_is_no_stream_is_refused() -> None:
    for data in (b"Traceback (most recent call last)", b"\2" + b"\xff" * 40, os.urandom(0) + b"\0" * 20):
        with pytest.raises(ValueError, match="not a stream of the sniffer"):
            list(RecordReader().feed(data))
    assert len(pack_record(RecordKind.PACKET, 1, 1, b"x" * 100)) < MAX_DATA
